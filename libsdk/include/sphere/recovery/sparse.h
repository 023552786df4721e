// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "sphere/core/result.h"

namespace sphere::recovery {

// Android's sparse form of an image, little-endian, in which a large image is sent in parts:
//
//   0   u32  magic ED26FF3A        12  u32  block size, a multiple of 4
//   4   u16  major version 1       16  u32  blocks of the whole image
//   6   u16  minor version         20  u32  chunks
//   8   u16  size of this header   24  u32  check sum, 0: none
//   10  u16  size of chunk headers
//   then chunks, one behind the other:
//   0   u16  kind                  4   u32  blocks of the image that it stands for
//   2   u16  0                     8   u32  size in the file, this header included
//   12  raw: those blocks; fill: u32 pattern; skip: nothing; check sum: u32
inline constexpr std::uint32_t kSparseMagic = 0xED26FF3A;
inline constexpr std::uint16_t kSparseHeader = 28;
inline constexpr std::uint16_t kSparseChunk = 12;
inline constexpr std::uint16_t kSparseRaw = 0xCAC1;
inline constexpr std::uint16_t kSparseFill = 0xCAC2;
inline constexpr std::uint16_t kSparseSkip = 0xCAC3;
inline constexpr std::uint16_t kSparseCheckSum = 0xCAC4;
// Of the images that we send.
inline constexpr std::uint32_t kSparseBlock = 4096;

// A part of a large image: what is sent is `head`, `size` bytes of the file from `offset`,
// `padding` zeros up to a whole block, and `tail`.
struct SparsePart {
  std::vector<std::byte> head;
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
  std::uint32_t padding = 0;
  std::vector<std::byte> tail;

  [[nodiscard]] std::uint64_t sent() const { return head.size() + size + padding + tail.size(); }
};

// Number `index` of the parts in which an image of `size` bytes is sent so that none has more than
// `limit` bytes; sparse_parts() says how many there are. Limits below 8 KiB are no use: 0 parts.
[[nodiscard]] std::uint64_t sparse_parts(std::uint64_t size, std::uint64_t limit);
[[nodiscard]] SparsePart sparse_part(std::uint64_t size, std::uint64_t limit, std::uint64_t index);

}  // namespace sphere::recovery
