// SPDX-License-Identifier: MIT
#include "libsdk/src/image/sections_v2.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "libsdk/src/image/failure.h"
#include "libsdk/src/image/section_reader.h"
#include "sphere/core/reader.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/image/merkle.h"
#include "sphere/image/metadata.h"
#include "sphere/image/sections_v2.h"

namespace sphere::image {
namespace {

constexpr std::uint16_t kMajorVersion = 2;
constexpr std::uint16_t kHashType = 1;
constexpr std::uint16_t kSha256 = 1;
constexpr std::uint8_t kLog2BlockSize = 12;
constexpr std::uint16_t kSaltLength = 32;
constexpr std::uint32_t kZstd = 2;
constexpr std::uint32_t kNotCompressed = 0x80000000U;  // Bit of a chunk's stored length.
constexpr std::size_t kBoardField = 32;

// A value that must be `known` and is of another version of the format if it is not.
template <typename Int>
Result<void> expect_known(std::string_view section, std::string_view what, Int value, Int known) {
  if (value != known) {
    return unsupported(fmt::format("unknown {} {} in section {}", what, value, section),
                       fmt::format("{}", value));
  }
  return {};
}

bool is_known_format(std::uint32_t format) {
  constexpr std::array<std::uint32_t, 5> kFormats = {1, 2, 4, 5, 6};
  return std::ranges::find(kFormats, format) != kFormats.end();
}

Result<void> check_sizes(const ContentHeader& header, std::size_t offset) {
  if (header.content_size == 0) {
    return corrupt("section v2", offset + 8, "the content size is 0");
  }
  if (header.content_size > kMaxBodyV2) {
    return too_large(fmt::format("the body has {} bytes; at most {} are allowed",
                                 header.content_size, kMaxBodyV2),
                     std::to_string(header.content_size));
  }
  const auto body = (header.content_size + kMerkleBlockSize - 1) / kMerkleBlockSize;
  if (header.body_size != body * kMerkleBlockSize) {
    return corrupt("section v2", offset + 16, "the body size is not the content size rounded up",
                   std::to_string(header.body_size));
  }
  if (header.format == BodyFormat::asxipfs && header.content_size != header.body_size) {
    return corrupt("section v2", offset + 8, "the content size of a file system is its body size",
                   std::to_string(header.content_size));
  }
  if (header.stored_size == 0 || header.stored_size > header.body_size ||
      header.stored_size % kMerkleBlockSize != 0) {
    return corrupt("section v2", offset + 24, "no possible stored size",
                   std::to_string(header.stored_size));
  }
  if (header.hash_area_size == 0 || header.hash_area_size % kMerkleBlockSize != 0) {
    return corrupt("section v2", offset + 32, "no possible hash area size",
                   std::to_string(header.hash_area_size));
  }
  return {};
}

// The numbers that choose the kind of tree; another kind is another version of the format.
Result<void> check_tree_kind(Reader& reader, std::size_t offset) {
  SPHERE_TRY(expect_known("mt", "hash type", take<std::uint16_t>(reader), kHashType));
  SPHERE_TRY(expect_known("mt", "algorithm", take<std::uint16_t>(reader), kSha256));
  SPHERE_TRY(expect_known("mt", "log2 of the data block size", take<std::uint8_t>(reader),
                          kLog2BlockSize));
  SPHERE_TRY(expect_known("mt", "log2 of the hash block size", take<std::uint8_t>(reader),
                          kLog2BlockSize));
  if (const auto length = take<std::uint16_t>(reader); length != kSaltLength) {
    return corrupt("section mt", offset + 6, "the salt has not 32 bytes", std::to_string(length));
  }
  return {};
}

Result<void> check_chunk_head(Reader& reader, std::size_t offset, ChunkTable& table) {
  SPHERE_TRY(expect_known("cz", "algorithm", take<std::uint32_t>(reader), kZstd));
  table.chunk_size = take<std::uint32_t>(reader);
  constexpr std::array<std::uint32_t, 3> kSizes = {65'536, 131'072, 262'144};
  if (std::ranges::find(kSizes, table.chunk_size) == kSizes.end()) {
    return unsupported(fmt::format("unknown chunk size {} in section cz", table.chunk_size),
                       std::to_string(table.chunk_size));
  }
  const auto count = take<std::uint32_t>(reader);
  const auto reserved = take<std::uint32_t>(reader);
  if (count != reader.left() / 36) {
    return corrupt("section cz", offset + 8, "the number of chunks does not fit the section",
                   std::to_string(count));
  }
  if (reserved != 0) {
    return corrupt("section cz", offset + 12, "the reserved field is not 0",
                   std::to_string(reserved));
  }
  return {};
}

// A board id in its field of 32 bytes.
Result<std::string> take_board(Reader& reader, std::size_t offset) {
  const auto field = as_text(reader.bytes(kBoardField).value_or(SectionBytes{}));
  const auto end = std::min(field.find('\0'), field.size());
  const auto id = field.substr(0, end);
  if (!is_board_id(id) || field.find_first_not_of('\0', end) != std::string_view::npos) {
    return corrupt("section hw", offset, "no board id", escape_control(field.substr(0, end)));
  }
  return std::string{id};
}

}  // namespace

Result<void> decode_content(SectionBytes payload, std::size_t offset, Metadata& out) {
  Reader reader{payload};
  ContentHeader header;
  SPHERE_TRY(expect_known("v2", "major version", take<std::uint16_t>(reader), kMajorVersion));
  header.minor_version = take<std::uint16_t>(reader);
  const auto format = take<std::uint32_t>(reader);
  header.content_size = take<std::uint64_t>(reader);
  header.body_size = take<std::uint64_t>(reader);
  header.stored_size = take<std::uint64_t>(reader);
  header.hash_area_size = take<std::uint32_t>(reader);
  SPHERE_TRY(
      expect_known("v2", "required features", take<std::uint32_t>(reader), std::uint32_t{0}));
  if (!is_known_format(format)) {
    return unsupported(fmt::format("unknown body format {} in section v2", format),
                       std::to_string(format));
  }
  header.format = static_cast<BodyFormat>(format);
  SPHERE_TRY(check_sizes(header, offset));
  out.v2.content = header;
  return {};
}

Result<void> decode_tree(SectionBytes payload, std::size_t offset, Metadata& out) {
  Reader reader{payload};
  SPHERE_TRY(check_tree_kind(reader, offset));
  TreeHeader header{.data_blocks = take<std::uint32_t>(reader), .tree_blocks = 0};
  header.tree_blocks = take<std::uint32_t>(reader);
  take_bytes(reader, header.salt);
  take_bytes(reader, header.root);
  const auto shape = MerkleShape::of(header.data_blocks);
  if (!shape) {
    return corrupt("section mt", offset + 8, "the tree has no data blocks");
  }
  if (header.tree_blocks != shape->tree_blocks()) {
    return corrupt("section mt", offset + 12,
                   fmt::format("{} data blocks do not have {} hash blocks", header.data_blocks,
                               header.tree_blocks),
                   std::to_string(header.tree_blocks));
  }
  out.v2.tree = header;
  return {};
}

Result<void> decode_chunks(SectionBytes payload, std::size_t offset, Metadata& out) {
  Reader reader{payload};
  ChunkTable table;
  SPHERE_TRY(check_chunk_head(reader, offset, table));
  while (reader.left() > 0) {
    const auto at = offset + payload.size() - reader.left();
    const auto word = take<std::uint32_t>(reader);
    ChunkEntry entry{.stored_length = word & ~kNotCompressed,
                     .compressed = (word & kNotCompressed) == 0};
    take_bytes(reader, entry.digest);
    if (entry.stored_length == 0 || entry.stored_length > table.chunk_size) {
      return corrupt("section cz", at, "no possible length of a chunk",
                     std::to_string(entry.stored_length));
    }
    table.chunks.push_back(entry);
  }
  out.v2.chunks = std::move(table);
  return {};
}

Result<void> decode_security(SectionBytes payload, std::size_t /*offset*/, Metadata& out) {
  Reader reader{payload};
  SecurityVersion version{.image = take<std::uint32_t>(reader)};
  version.least_os = take<std::uint32_t>(reader);
  out.v2.security = version;
  return {};
}

Result<void> decode_hardware(SectionBytes payload, std::size_t offset, Metadata& out) {
  Reader reader{payload};
  TargetHardware hardware{.machine = take<std::uint16_t>(reader)};
  if (const auto count = take<std::uint16_t>(reader); count != reader.left() / kBoardField) {
    return corrupt("section hw", offset + 2, "the number of boards does not fit the section",
                   std::to_string(count));
  }
  while (reader.left() > 0) {
    const auto at = offset + payload.size() - reader.left();
    SPHERE_TRY_ASSIGN(auto board, take_board(reader, at));
    if (!hardware.boards.empty() && board <= hardware.boards.back()) {
      return corrupt("section hw", at, "the board ids are not in ascending order", board);
    }
    hardware.boards.push_back(std::move(board));
  }
  out.v2.hardware = std::move(hardware);
  return {};
}

Result<void> decode_key_id(SectionBytes payload, std::size_t /*offset*/, Metadata& out) {
  Reader reader{payload};
  take_bytes(reader, out.v2.key_id.emplace());
  return {};
}

Result<void> decode_provenance(SectionBytes payload, std::size_t offset, Metadata& out) {
  SPHERE_TRY_ASSIGN(out.v2.provenance, read_provenance(payload, offset));
  return {};
}

Result<void> decode_sbom(SectionBytes payload, std::size_t offset, Metadata& out) {
  Reader reader{payload};
  const auto format = take<std::uint16_t>(reader);
  const auto place = take<std::uint16_t>(reader);
  const auto length = take<std::uint16_t>(reader);
  const auto reserved = take<std::uint16_t>(reader);
  SbomReference sbom{.format = static_cast<SbomReference::Format>(format), .in_body = place == 1};
  take_bytes(reader, sbom.digest);
  const auto locator = as_text(reader.bytes(reader.left()).value_or(SectionBytes{}));
  if (format != 1 && format != 2) {
    return unsupported(fmt::format("unknown format {} in section sb", format),
                       std::to_string(format));
  }
  if (place > 1) {
    return unsupported(fmt::format("unknown place {} in section sb", place), std::to_string(place));
  }
  if (length != locator.size()) {
    return corrupt("section sb", offset + 4, "the length of the locator does not fit the section",
                   std::to_string(length));
  }
  if (reserved != 0) {
    return corrupt("section sb", offset + 6, "the reserved field is not 0",
                   std::to_string(reserved));
  }
  if (!is_plain_text(locator)) {
    return corrupt("section sb", offset + 40, "the locator is not UTF-8 text",
                   escape_control(locator));
  }
  sbom.locator = locator;
  out.v2.sbom = std::move(sbom);
  return {};
}

Result<void> decode_signing_time(SectionBytes payload, std::size_t /*offset*/, Metadata& out) {
  Reader reader{payload};
  out.v2.signing_time = take<std::uint64_t>(reader);
  return {};
}

Result<void> sort_boards(TargetHardware& hardware) {
  auto& boards = hardware.boards;
  std::ranges::sort(boards);
  const auto wrong = std::ranges::find_if_not(boards, is_board_id);
  if (wrong != boards.end()) {
    return fail(Errc::invalid_argument,
                fmt::format("\"{}\" is no board id", escape_control(*wrong)),
                {.reason = "usage.bad-value",
                 .value = escape_control(*wrong),
                 .next = "write 1 to 31 of a-z, 0-9, '.', '_' and '-', as in mt3620-rdb"});
  }
  const auto twice = std::ranges::adjacent_find(boards);
  if (twice != boards.end()) {
    return fail(Errc::invalid_argument, fmt::format("the board {} is named twice", *twice),
                {.reason = "usage.bad-value", .value = *twice, .next = "name it once"});
  }
  if (boards.size() > kMaxBoards) {
    return too_large(fmt::format("{} boards; at most {} can be named", boards.size(), kMaxBoards),
                     std::to_string(boards.size()));
  }
  return {};
}

bool is_board_id(std::string_view text) {
  const auto is_start = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return !text.empty() && text.size() < kBoardField && is_start(text.front()) &&
         std::ranges::all_of(
             text, [&](char c) { return is_start(c) || c == '.' || c == '_' || c == '-'; });
}

}  // namespace sphere::image
