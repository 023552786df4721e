// SPDX-License-Identifier: MIT
// The sections of package v2 for people, and as bytes.
#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "libsdk/src/image/sections_v2.h"
#include "sphere/core/clock.h"
#include "sphere/core/encoding.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/core/writer.h"
#include "sphere/image/executable_check.h"
#include "sphere/image/merkle.h"
#include "sphere/image/metadata.h"
#include "sphere/image/sections_v2.h"

namespace sphere::image {
namespace {

using Fields = std::vector<SectionField>;
using Decode = Result<void> (*)(SectionBytes payload, std::size_t offset, Metadata& out);

SectionField field(std::string key, std::string label, std::string text) {
  return {.key = std::move(key), .label = std::move(label), .text = std::move(text)};
}

// The fields that `describe` makes of a payload that decodes; none else.
template <typename Describe>
Fields decoded(Decode decode, SectionBytes payload, Describe describe) {
  Metadata metadata;  // NOLINT(misc-const-correctness): `decode` fills it.
  return decode(payload, 0, metadata) ? describe(metadata.v2) : Fields{};
}

std::string plural(std::size_t count, std::string_view one, std::string_view many) {
  return fmt::format("{} {}", with_thousands(count), count == 1 ? one : many);
}

std::string bytes_text(std::uint64_t count) {
  return fmt::format("{} bytes", with_thousands(static_cast<std::size_t>(count)));
}

std::string join_boards(const TargetHardware& hardware) { return join(hardware.boards, ", "); }

}  // namespace

std::string_view to_text(BodyFormat format) {
  switch (format) {
    case BodyFormat::asxipfs:
      return "ASXipFS";
    case BodyFormat::device_tree:
      return "flattened device tree";
    case BodyFormat::block_image:
      return "block image";
    case BodyFormat::squashfs:
      return "squashfs";
    case BodyFormat::erofs:
      return "erofs";
  }
  return "unknown";
}

Fields describe_content(SectionBytes payload) {
  return decoded(decode_content, payload, [](const SectionsV2& v2) {
    const auto& header = v2.content.value_or(ContentHeader{});
    return Fields{field("bodyFormat", "Body format", std::string{to_text(header.format)}),
                  field("contentBytes", "Content", bytes_text(header.content_size)),
                  field("bodyBytes", "Body", bytes_text(header.body_size)),
                  field("storedBytes", "Stored", bytes_text(header.stored_size)),
                  field("hashAreaBytes", "Hash area", bytes_text(header.hash_area_size))};
  });
}

Fields describe_tree(SectionBytes payload) {
  return decoded(decode_tree, payload, [](const SectionsV2& v2) {
    const auto& tree = v2.tree.value_or(TreeHeader{});
    const auto shape = MerkleShape::of(tree.data_blocks);
    return Fields{field("blocks", "Blocks", with_thousands(tree.data_blocks)),
                  field("levels", "Levels", std::to_string(shape ? shape->levels() : 0)),
                  field("root", "Root hash", to_hex(tree.root)),
                  field("salt", "Salt", to_hex(tree.salt))};
  });
}

Fields describe_chunks(SectionBytes payload) {
  return decoded(decode_chunks, payload, [](const SectionsV2& v2) {
    const auto& table = v2.chunks.value_or(ChunkTable{});
    const auto smaller = std::ranges::count(table.chunks, true, &ChunkEntry::compressed);
    return Fields{field("algorithm", "Algorithm", "zstd"),
                  field("chunkBytes", "Chunk size", bytes_text(table.chunk_size)),
                  field("chunks", "Chunks",
                        fmt::format("{}, {} smaller",
                                    plural(table.chunks.size(), "chunk", "chunks"), smaller))};
  });
}

Fields describe_security(SectionBytes payload) {
  return decoded(decode_security, payload, [](const SectionsV2& v2) {
    const auto& version = v2.security.value_or(SecurityVersion{});
    return Fields{field("securityVersion", "Version", std::to_string(version.image)),
                  field("leastOs", "OS", fmt::format(">= {}", version.least_os))};
  });
}

Fields describe_hardware(SectionBytes payload) {
  return decoded(decode_hardware, payload, [](const SectionsV2& v2) {
    const auto& hardware = v2.hardware.value_or(TargetHardware{});
    return Fields{field("machine", "Machine",
                        hardware.machine == kMachineNone ? "none" : machine_text(hardware.machine)),
                  field("boards", "Boards", join_boards(hardware))};
  });
}

Fields describe_key_id(SectionBytes payload) { return {field("keyId", "Key ID", to_hex(payload))}; }

Fields describe_provenance(SectionBytes payload) {
  return decoded(decode_provenance, payload, [](const SectionsV2& v2) {
    Fields fields;
    for (const auto& line : v2.provenance.value_or(Provenance{})) {
      fields.push_back(field(line.key, line.key, line.value));
    }
    return fields;
  });
}

Fields describe_sbom(SectionBytes payload) {
  return decoded(decode_sbom, payload, [](const SectionsV2& v2) {
    const auto& sbom = v2.sbom.value_or(SbomReference{});
    const bool is_spdx = sbom.format == SbomReference::Format::spdx;
    return Fields{field("format", "Format", is_spdx ? "SPDX JSON" : "CycloneDX JSON"),
                  field("place", "Place", sbom.in_body ? "in the image" : "elsewhere"),
                  field("locator", "Locator", sbom.locator),
                  field("sha256", "SHA-256", to_hex(sbom.digest))};
  });
}

Fields describe_signing_time(SectionBytes payload) {
  return decoded(decode_signing_time, payload, [](const SectionsV2& v2) {
    const auto time = std::min(v2.signing_time.value_or(0), std::uint64_t{INT64_MAX});
    return Fields{field("signedUtc", "Signed", to_rfc3339(static_cast<std::int64_t>(time)))};
  });
}

std::vector<std::byte> encode(const ContentHeader& header) {
  Writer writer;
  writer.little_endian(std::uint16_t{2})
      .little_endian(header.minor_version)
      .little_endian(static_cast<std::uint32_t>(header.format))
      .little_endian(header.content_size)
      .little_endian(header.body_size)
      .little_endian(header.stored_size)
      .little_endian(header.hash_area_size)
      .little_endian(std::uint32_t{0});
  return std::move(writer).take();
}

std::vector<std::byte> encode(const TreeHeader& header) {
  constexpr std::uint8_t kLog2BlockSize = 12;
  Writer writer;
  writer.little_endian(std::uint16_t{1})
      .little_endian(std::uint16_t{1})
      .little_endian(kLog2BlockSize)
      .little_endian(kLog2BlockSize)
      .little_endian(static_cast<std::uint16_t>(header.salt.size()))
      .little_endian(header.data_blocks)
      .little_endian(header.tree_blocks)
      .bytes(header.salt)
      .bytes(header.root);
  return std::move(writer).take();
}

std::vector<std::byte> encode(const ChunkTable& table) {
  assert(!table.chunks.empty() && table.chunks.size() <= kMaxChunks);
  constexpr std::uint32_t kNotCompressed = 0x80000000U;
  Writer writer;
  writer.little_endian(std::uint32_t{2})
      .little_endian(table.chunk_size)
      .little_endian(static_cast<std::uint32_t>(table.chunks.size()))
      .little_endian(std::uint32_t{0});
  for (const auto& chunk : table.chunks) {
    writer.little_endian(chunk.stored_length | (chunk.compressed ? 0U : kNotCompressed))
        .bytes(chunk.digest);
  }
  return std::move(writer).take();
}

std::vector<std::byte> encode(const SecurityVersion& version) {
  Writer writer;
  writer.little_endian(version.image).little_endian(version.least_os);
  return std::move(writer).take();
}

std::vector<std::byte> encode(const TargetHardware& hardware) {
  assert(!hardware.boards.empty() && hardware.boards.size() <= kMaxBoards);
  constexpr std::size_t kBoardField = 32;
  Writer writer;
  writer.little_endian(hardware.machine)
      .little_endian(static_cast<std::uint16_t>(hardware.boards.size()));
  for (const auto& board : hardware.boards) {
    writer.text(board).zeros(kBoardField - board.size());
  }
  return std::move(writer).take();
}

std::vector<std::byte> encode(const SbomReference& sbom) {
  Writer writer;
  writer.little_endian(static_cast<std::uint16_t>(sbom.format))
      .little_endian(static_cast<std::uint16_t>(sbom.in_body ? 1 : 0))
      .little_endian(static_cast<std::uint16_t>(sbom.locator.size()))
      .little_endian(std::uint16_t{0})
      .bytes(sbom.digest)
      .text(sbom.locator);
  return std::move(writer).take();
}

}  // namespace sphere::image
