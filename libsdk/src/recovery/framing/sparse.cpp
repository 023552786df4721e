// SPDX-License-Identifier: MIT
#include "sphere/recovery/sparse.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "sphere/core/writer.h"

namespace sphere::recovery {

namespace {

constexpr std::uint64_t kSmallestLimit = 8192;
// The header, a skip in front and one behind, and the raw chunk's own header.
constexpr std::uint64_t kOverhead = kSparseHeader + 3U * kSparseChunk;

std::uint64_t blocks_of(std::uint64_t size) { return (size + kSparseBlock - 1) / kSparseBlock; }

std::uint64_t blocks_of_part(std::uint64_t limit) {
  return limit < kSmallestLimit ? 0 : (limit - kOverhead) / kSparseBlock;
}

void append_chunk(Writer& writer, std::uint16_t kind, std::uint64_t blocks, std::uint64_t data) {
  writer.little_endian<std::uint16_t>(kind)
      .little_endian<std::uint16_t>(0)
      .little_endian(static_cast<std::uint32_t>(blocks))
      .little_endian(static_cast<std::uint32_t>(kSparseChunk + data));
}

}  // namespace

std::uint64_t sparse_parts(std::uint64_t size, std::uint64_t limit) {
  const std::uint64_t blocks = blocks_of_part(limit);
  return blocks == 0 ? 0 : (blocks_of(size) + blocks - 1) / blocks;
}

SparsePart sparse_part(std::uint64_t size, std::uint64_t limit, std::uint64_t index) {
  const std::uint64_t total = blocks_of(size);
  const std::uint64_t before = index * blocks_of_part(limit);
  const std::uint64_t blocks = std::min(blocks_of_part(limit), total - before);
  const std::uint64_t behind = total - before - blocks;
  const std::uint64_t offset = before * kSparseBlock;
  const std::uint64_t bytes = std::min(blocks * kSparseBlock, size - offset);

  Writer head;
  head.little_endian(kSparseMagic)
      .little_endian<std::uint16_t>(1)
      .little_endian<std::uint16_t>(0)
      .little_endian(kSparseHeader)
      .little_endian(kSparseChunk)
      .little_endian(kSparseBlock)
      .little_endian(static_cast<std::uint32_t>(total))
      .little_endian<std::uint32_t>(1 + (before > 0 ? 1 : 0) + (behind > 0 ? 1 : 0))
      .little_endian<std::uint32_t>(0);
  if (before > 0) {
    append_chunk(head, kSparseSkip, before, 0);
  }
  append_chunk(head, kSparseRaw, blocks, blocks * kSparseBlock);
  Writer tail;
  if (behind > 0) {
    append_chunk(tail, kSparseSkip, behind, 0);
  }
  return {.head = std::move(head).take(),
          .offset = offset,
          .size = bytes,
          .padding = static_cast<std::uint32_t>(blocks * kSparseBlock - bytes),
          .tail = std::move(tail).take()};
}

}  // namespace sphere::recovery
