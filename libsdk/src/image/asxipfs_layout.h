// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "sphere/image/asxipfs.h"

namespace sphere::image {

// Numbers of the layout drawn in sphere/image/asxipfs.h.
constexpr std::uint32_t kFsMagic = 0x28CD3D45;
constexpr std::uint32_t kFsFlags = 3;  // FSID version 2, sorted directories.
constexpr std::string_view kFsSignature = "Compressed ROMFS";
constexpr std::string_view kFsName = "Compressed";
constexpr std::size_t kFsNameSize = 16;
constexpr std::size_t kCrcOffset = 32;
constexpr std::size_t kRootInode = 64;
constexpr std::size_t kInodeSize = 12;
constexpr std::size_t kSuperblockSize = kRootInode + kInodeSize;

constexpr std::uint16_t kDirectoryMode = 0040755;
constexpr std::uint16_t kFileMode = 0101644;
constexpr std::uint16_t kExecutableMode = 0101755;

constexpr std::size_t round_up(std::size_t value, std::size_t unit) {
  return (value + unit - 1) / unit * unit;
}

}  // namespace sphere::image
