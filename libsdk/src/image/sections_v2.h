// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "sphere/core/result.h"
#include "sphere/crypto/digest.h"
#include "sphere/image/metadata.h"
#include "sphere/image/sections_v2.h"

// The functions behind the rows of the section table that package v2 adds.
namespace sphere::image {

using SectionBytes = std::span<const std::byte>;

[[nodiscard]] Result<void> decode_content(SectionBytes payload, std::size_t offset, Metadata& out);
[[nodiscard]] Result<void> decode_tree(SectionBytes payload, std::size_t offset, Metadata& out);
[[nodiscard]] Result<void> decode_chunks(SectionBytes payload, std::size_t offset, Metadata& out);
[[nodiscard]] Result<void> decode_security(SectionBytes payload, std::size_t offset, Metadata& out);
[[nodiscard]] Result<void> decode_hardware(SectionBytes payload, std::size_t offset, Metadata& out);
[[nodiscard]] Result<void> decode_key_id(SectionBytes payload, std::size_t offset, Metadata& out);
[[nodiscard]] Result<void> decode_provenance(SectionBytes payload, std::size_t offset,
                                             Metadata& out);
[[nodiscard]] Result<void> decode_sbom(SectionBytes payload, std::size_t offset, Metadata& out);
[[nodiscard]] Result<void> decode_signing_time(SectionBytes payload, std::size_t offset,
                                               Metadata& out);

[[nodiscard]] std::vector<SectionField> describe_content(SectionBytes payload);
[[nodiscard]] std::vector<SectionField> describe_tree(SectionBytes payload);
[[nodiscard]] std::vector<SectionField> describe_chunks(SectionBytes payload);
[[nodiscard]] std::vector<SectionField> describe_security(SectionBytes payload);
[[nodiscard]] std::vector<SectionField> describe_hardware(SectionBytes payload);
[[nodiscard]] std::vector<SectionField> describe_key_id(SectionBytes payload);
[[nodiscard]] std::vector<SectionField> describe_provenance(SectionBytes payload);
[[nodiscard]] std::vector<SectionField> describe_sbom(SectionBytes payload);
[[nodiscard]] std::vector<SectionField> describe_signing_time(SectionBytes payload);

// Payloads of values that the decoders accept; others are a bug.
[[nodiscard]] std::vector<std::byte> encode(const ContentHeader& header);
[[nodiscard]] std::vector<std::byte> encode(const TreeHeader& header);
[[nodiscard]] std::vector<std::byte> encode(const ChunkTable& table);
[[nodiscard]] std::vector<std::byte> encode(const SecurityVersion& version);
[[nodiscard]] std::vector<std::byte> encode(const TargetHardware& hardware);
[[nodiscard]] std::vector<std::byte> encode(const SbomReference& sbom);

constexpr bool is_chunk_table_length(std::size_t length) {
  return length >= 16 + 36 && (length - 16) % 36 == 0;
}
constexpr bool is_board_list_length(std::size_t length) {
  return length >= 4 + 32 && length <= 4 + 32 * kMaxBoards && (length - 4) % 32 == 0;
}
constexpr bool is_provenance_length(std::size_t length) {
  return length >= 1 && length <= kMaxProvenance;
}
constexpr bool is_sbom_length(std::size_t length) {
  return length > 40 && length <= 40 + kMaxLocator;
}

}  // namespace sphere::image
