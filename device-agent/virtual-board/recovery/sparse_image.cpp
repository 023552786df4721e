// SPDX-License-Identifier: MIT
#include "device-agent/virtual-board/recovery/sparse_image.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "sphere/core/reader.h"
#include "sphere/recovery/sparse.h"

namespace sphere::virtual_board {

namespace {

struct Header {
  std::uint16_t chunk_header = 0;
  std::uint32_t block = 0;
  std::uint32_t blocks = 0;
  std::uint32_t chunks = 0;
};

struct Chunk {
  std::uint16_t kind = 0;
  std::uint32_t blocks = 0;
  std::span<const std::byte> data;
};

std::optional<Header> read_header(Reader& reader) {
  const auto magic = reader.little_endian<std::uint32_t>();
  const auto major = reader.little_endian<std::uint16_t>();
  const auto minor = reader.little_endian<std::uint16_t>();
  const auto size = reader.little_endian<std::uint16_t>();
  const auto chunk_header = reader.little_endian<std::uint16_t>();
  const auto block = reader.little_endian<std::uint32_t>();
  const auto blocks = reader.little_endian<std::uint32_t>();
  const auto chunks = reader.little_endian<std::uint32_t>();
  const auto sum = reader.little_endian<std::uint32_t>();
  constexpr std::uint32_t kLargestBlock = 1U << 20U;
  if (!magic || !major || !minor || !size || !chunk_header || !block || !blocks || !chunks ||
      !sum || *magic != recovery::kSparseMagic || *major != 1 || *size < recovery::kSparseHeader ||
      *chunk_header < recovery::kSparseChunk || *block == 0 || *block % 4 != 0 ||
      *block > kLargestBlock || !reader.bytes(*size - recovery::kSparseHeader)) {
    return std::nullopt;
  }
  return Header{
      .chunk_header = *chunk_header, .block = *block, .blocks = *blocks, .chunks = *chunks};
}

std::optional<Chunk> read_chunk(Reader& reader, const Header& header) {
  const auto kind = reader.little_endian<std::uint16_t>();
  const auto reserved = reader.little_endian<std::uint16_t>();
  const auto blocks = reader.little_endian<std::uint32_t>();
  const auto size = reader.little_endian<std::uint32_t>();
  if (!kind || !reserved || !blocks || !size || *size < header.chunk_header ||
      !reader.bytes(header.chunk_header - recovery::kSparseChunk)) {
    return std::nullopt;
  }
  const auto data = reader.bytes(*size - header.chunk_header);
  if (!data) {
    return std::nullopt;
  }
  return Chunk{.kind = *kind, .blocks = *blocks, .data = *data};
}

std::string write_fill(std::size_t offset, std::size_t size, std::span<const std::byte> pattern,
                       const WriteRun& write) {
  constexpr std::size_t kRun = 4096;
  std::vector<std::byte> run(kRun);
  for (std::size_t i = 0; i < run.size(); ++i) {
    run[i] = pattern[i % pattern.size()];
  }
  for (std::size_t at = 0; at < size; at += kRun) {
    const auto error = write(offset + at, std::span{run}.first(std::min(kRun, size - at)));
    if (!error.empty()) {
      return error;
    }
  }
  return {};
}

std::string write_chunk(const Chunk& chunk, std::size_t offset, std::size_t size,
                        const WriteRun& write) {
  switch (chunk.kind) {
    case recovery::kSparseRaw:
      return chunk.data.size() == size ? write(offset, chunk.data) : "wrong size of a raw chunk";
    case recovery::kSparseFill:
      return chunk.data.size() == 4 ? write_fill(offset, size, chunk.data, write)
                                    : "wrong size of a fill chunk";
    case recovery::kSparseSkip:
      return chunk.data.empty() ? "" : "wrong size of a skip chunk";
    case recovery::kSparseCheckSum:
      return chunk.data.size() == 4 && chunk.blocks == 0 ? "" : "wrong size of a check sum chunk";
    default:
      return "unknown sparse chunk";
  }
}

}  // namespace

bool is_sparse(std::span<const std::byte> image) {
  Reader reader{image};
  return reader.little_endian<std::uint32_t>() == recovery::kSparseMagic;
}

std::string expand_sparse(std::span<const std::byte> image, std::size_t room,
                          const WriteRun& write) {
  Reader reader{image};
  const auto header = read_header(reader);
  if (!header) {
    return "bad sparse header";
  }
  const std::uint64_t total = std::uint64_t{header->blocks} * header->block;
  if (total > room) {
    return "image is larger than the partition";
  }
  std::uint64_t at = 0;
  for (std::uint32_t i = 0; i < header->chunks; ++i) {
    const auto chunk = read_chunk(reader, *header);
    if (!chunk) {
      return "bad sparse chunk";
    }
    const std::uint64_t size = std::uint64_t{chunk->blocks} * header->block;
    if (size > total - at) {
      return "sparse chunk behind the end of the image";
    }
    auto error =
        write_chunk(*chunk, static_cast<std::size_t>(at), static_cast<std::size_t>(size), write);
    if (!error.empty()) {
      return error;
    }
    at += size;
  }
  return at == total ? "" : "sparse chunks are missing";
}

}  // namespace sphere::virtual_board
