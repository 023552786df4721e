// SPDX-License-Identifier: MIT
#include "sphere/image/metadata.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "libsdk/src/image/failure.h"
#include "libsdk/src/image/owned_section.h"
#include "libsdk/src/image/sections.h"
#include "sphere/core/reader.h"
#include "sphere/core/result.h"
#include "sphere/core/writer.h"

namespace sphere::image {
namespace {

using Bytes = std::span<const std::byte>;

constexpr std::uint32_t kMagic = 0x4D345834;  // "4X4M"
constexpr std::size_t kLengthWord = 4;
constexpr std::size_t kSmallestBlock = 12;  // Magic, count, length word.
constexpr std::size_t kLargestBlockV1 = 65'536;
constexpr std::size_t kLargestBlock = 131'072;  // Of package v2.
constexpr std::uint32_t kMaxSections = 64;
constexpr std::size_t kSectionHead = 4;  // Id and length.

constexpr std::array<char, 2> kIdId = {'I', 'D'};
constexpr std::array<char, 2> kSgId = {'S', 'G'};
constexpr std::array<char, 2> kDbId = {'D', 'B'};

struct Block {
  Bytes bytes;  // "4X4M" through the length word.
  std::size_t offset = 0;
};

// The length of the block, from the last bytes of a file of `file_size` bytes.
Result<std::size_t> block_length(Bytes end, std::uint64_t file_size) {
  if (file_size < kSmallestBlock + kSignatureSize || end.size() < kLengthWord + kSignatureSize) {
    return corrupt("file", 0, fmt::format("{} bytes are too short for a package", file_size),
                   std::to_string(file_size));
  }
  const auto word = end.last(kLengthWord + kSignatureSize);
  const std::size_t length = Reader{word}.little_endian<std::uint32_t>().value_or(0);
  const auto unsigned_size = file_size - kSignatureSize;
  if (length < kSmallestBlock || length > unsigned_size) {
    return corrupt("metadata length", unsigned_size - kLengthWord,
                   fmt::format("{} does not lie within the file", length), std::to_string(length));
  }
  if (length > kLargestBlock) {
    return too_large(fmt::format("the metadata block has {} bytes; at most {} are allowed", length,
                                 kLargestBlock),
                     std::to_string(length));
  }
  return length;
}

// `end` is the file from `offset` on and holds the whole block.
Result<Block> find_block(Bytes end, std::uint64_t offset) {
  SPHERE_TRY_ASSIGN(const auto length, block_length(end, offset + end.size()));
  const auto unsigned_part = end.first(end.size() - kSignatureSize);
  if (length > unsigned_part.size()) {
    return corrupt("metadata length", offset + unsigned_part.size() - kLengthWord,
                   fmt::format("{} is more than was read", length), std::to_string(length));
  }
  return Block{.bytes = unsigned_part.last(length),
               .offset = static_cast<std::size_t>(offset) + unsigned_part.size() - length};
}

Result<Section> read_section(Reader& reader, std::size_t offset) {
  const auto id = reader.bytes(2);
  const auto length = reader.little_endian<std::uint16_t>();
  if (!id || !length) {
    return corrupt("metadata", offset, "a section goes beyond the block");
  }
  Section section{.id = {std::to_integer<char>((*id)[0]), std::to_integer<char>((*id)[1])},
                  .payload = {}};
  const auto part = fmt::format("section {}", id_text(section.id));
  if (*length == 0) {
    return corrupt(part, offset, "its length is 0");
  }
  const auto payload = reader.bytes(*length);
  if (!payload) {
    return corrupt(part, offset, fmt::format("its {} bytes go beyond the block", *length),
                   std::to_string(*length));
  }
  const auto* rule = find_rule(section.id);
  if (rule != nullptr && rule->fits != nullptr && !rule->fits(*length)) {
    return corrupt(part, offset, fmt::format("its length cannot be {}", *length),
                   std::to_string(*length));
  }
  section.payload = *payload;
  return section;
}

bool has_section(const Metadata& metadata, std::array<char, 2> id) {
  return std::ranges::find(metadata.sections, id, &Section::id) != metadata.sections.end();
}

// Magic and number of sections, off the front of the block.
Result<std::uint32_t> read_count(Reader& reader, std::size_t offset) {
  if (const auto magic = reader.little_endian<std::uint32_t>(); magic != kMagic) {
    return corrupt("metadata", offset, "it does not begin with \"4X4M\"",
                   fmt::format("{:#010x}", magic.value_or(0)));
  }
  const auto count = reader.little_endian<std::uint32_t>().value_or(0);
  if (count == 0) {
    return corrupt("metadata", offset + 4, "it has no sections");
  }
  if (count > kMaxSections) {
    return too_large(
        fmt::format("the metadata has {} sections; at most {} are allowed", count, kMaxSections),
        std::to_string(count));
  }
  return count;
}

Result<void> add_section(const Section& section, std::size_t offset, Metadata& metadata) {
  if (has_section(metadata, section.id)) {
    return corrupt(fmt::format("section {}", id_text(section.id)), offset, "it is there twice");
  }
  metadata.sections.push_back(section);
  const auto* rule = find_rule(section.id);
  if (rule == nullptr || rule->decode == nullptr) {
    return {};
  }
  return rule->decode(section.payload, offset + kSectionHead, metadata);
}

Result<void> read_sections(const Block& block, Metadata& metadata) {
  const auto end = block.offset + block.bytes.size() - kLengthWord;
  Reader reader{block.bytes.first(block.bytes.size() - kLengthWord)};
  SPHERE_TRY_ASSIGN(const auto count, read_count(reader, block.offset));
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto offset = end - reader.left();
    SPHERE_TRY_ASSIGN(const auto section, read_section(reader, offset));
    SPHERE_TRY(add_section(section, offset, metadata));
  }
  if (reader.left() != 0) {
    return corrupt("metadata", end - reader.left(),
                   fmt::format("{} bytes after the last section", reader.left()));
  }
  return {};
}

}  // namespace

Result<std::size_t> tail_size(Bytes end, std::uint64_t file_size) {
  SPHERE_TRY_ASSIGN(const auto length, block_length(end, file_size));
  return length + kSignatureSize;
}

Result<Metadata> read_metadata(Bytes package, std::uint64_t offset) {
  SPHERE_TRY_ASSIGN(const auto block, find_block(package, offset));
  Metadata metadata;
  metadata.body_size = block.offset;
  metadata.signature = package.last(kSignatureSize);
  SPHERE_TRY(read_sections(block, metadata));
  for (const auto id : {kIdId, kSgId, kDbId}) {
    if (!has_section(metadata, id)) {
      return corrupt("metadata", block.offset, fmt::format("there is no section {}", id_text(id)));
    }
  }
  if (metadata.signature_info.signing_type == kSigningTypeEcdsaP256 &&
      block.bytes.size() > kLargestBlockV1) {
    return too_large(fmt::format("the metadata block has {} bytes; at most {} are allowed",
                                 block.bytes.size(), kLargestBlockV1),
                     std::to_string(block.bytes.size()));
  }
  return metadata;
}

std::vector<std::byte> write_sections(std::span<const Section> sections) {
  Writer writer;
  writer.little_endian(kMagic).little_endian(static_cast<std::uint32_t>(sections.size()));
  for (const auto& section : sections) {
    assert(!section.payload.empty() && section.payload.size() <= UINT16_MAX);
    writer.text({section.id.data(), section.id.size()})
        .little_endian(static_cast<std::uint16_t>(section.payload.size()))
        .bytes(section.payload);
  }
  writer.little_endian(static_cast<std::uint32_t>(writer.size() + kLengthWord));
  return std::move(writer).take();
}

std::vector<std::byte> write_metadata(const Identity& identity, const SignatureInfo& signature_info,
                                      const DebugInfo& debug,
                                      std::optional<std::uint32_t> temporary,
                                      const std::optional<std::vector<AbiDependency>>& depends) {
  return write_sections(common_sections(identity, signature_info, debug, temporary, depends));
}

}  // namespace sphere::image
