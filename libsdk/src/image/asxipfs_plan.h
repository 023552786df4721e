// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sphere/core/result.h"

namespace sphere::image {

// A file to lay out: everything that decides on the layout but its content.
struct PlannedFile {
  std::string_view path;  // As FileEntry::path.
  std::size_t size = 0;
  bool executable = false;
};

// Where the data of a file goes. A file without data has no place.
struct PlacedFile {
  std::size_t index = 0;   // In the list that was planned.
  std::size_t offset = 0;  // In the body; a multiple of the page size.
};

// A body before the contents of its files are known.
struct BodyPlan {
  // Superblock, with a CRC of 0, and directories, zero-padded to a page.
  std::vector<std::byte> head;
  std::vector<PlacedFile> files;  // By offset. From the end of one to the next there are zeros.
  std::size_t size = 0;           // Of the body.
};

// Lays out `files`, whose paths must outlive the call only. Errors: as write_asxipfs().
[[nodiscard]] Result<BodyPlan> plan_asxipfs(std::span<const PlannedFile> files);

// Writes the CRC of the whole body into its first bytes.
void set_crc(std::span<std::byte> head, std::uint32_t crc);

}  // namespace sphere::image
