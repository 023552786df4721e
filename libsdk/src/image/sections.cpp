// SPDX-License-Identifier: MIT
#include "libsdk/src/image/sections.h"

#include <algorithm>
#include <array>
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
#include "libsdk/src/image/section_reader.h"
#include "libsdk/src/image/sections_v2.h"
#include "sphere/core/clock.h"
#include "sphere/core/encoding.h"
#include "sphere/core/guid.h"
#include "sphere/core/reader.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/image/metadata.h"

namespace sphere::image {
namespace {

using Bytes = std::span<const std::byte>;

constexpr std::size_t kNameField = 32;
constexpr std::uint32_t kCompressionLzma = 1;

template <std::size_t kLength>
bool is_length(std::size_t length) {
  return length == kLength;
}

bool is_list_length(std::size_t length) { return length >= 4 && (length - 4) % 8 == 0; }

Guid take_guid(Reader& reader) {
  const auto bytes = reader.bytes(Guid::kSize);
  return bytes ? Guid::from_stored(bytes->first<Guid::kSize>()) : Guid{};
}

Result<void> decode_identity(Bytes payload, std::size_t offset, Metadata& metadata) {
  Reader reader{payload};
  metadata.identity.image_type = take<std::uint16_t>(reader);
  if (const auto reserved = take<std::uint16_t>(reader); reserved != 0) {
    return corrupt("section ID", offset + 2, "the reserved field is not 0",
                   fmt::format("{:#06x}", reserved));
  }
  metadata.identity.component_id = take_guid(reader);
  metadata.identity.image_id = take_guid(reader);
  if (metadata.identity.component_id.is_zero()) {
    return corrupt("section ID", offset + 4, "the component id is zero");
  }
  return {};
}

Result<void> decode_signature(Bytes payload, std::size_t /*offset*/, Metadata& metadata) {
  Reader reader{payload};
  auto& info = metadata.signature_info;
  if (const auto thumbprint = reader.bytes(info.thumbprint.size())) {
    std::ranges::copy(*thumbprint, info.thumbprint.begin());
  }
  info.signing_type = take<std::uint32_t>(reader);
  if (info.signing_type != kSigningTypeEcdsaP256 && info.signing_type != kSigningTypePackageV2) {
    return unsupported(fmt::format("unknown signing type {:#x} in section SG", info.signing_type),
                       fmt::format("{:#x}", info.signing_type));
  }
  return {};
}

Result<void> decode_debug(Bytes payload, std::size_t offset, Metadata& metadata) {
  Reader reader{payload};
  metadata.debug.build_time = take<std::uint64_t>(reader);
  const auto field = reader.bytes(kNameField).value_or(Bytes{});
  const auto text = as_text(field);
  const auto end = text.find('\0');
  if (end == std::string_view::npos) {
    return corrupt("section DB", offset + 8, "the name does not end with NUL");
  }
  if (text.find_first_not_of('\0', end) != std::string_view::npos) {
    return corrupt("section DB", offset + 8 + end, "bytes after the end of the name");
  }
  metadata.debug.name = text.substr(0, end);
  return {};
}

Result<void> decode_temporary(Bytes payload, std::size_t /*offset*/, Metadata& metadata) {
  Reader reader{payload};
  const auto bits = take<std::uint32_t>(reader);
  if ((bits & ~(kRemoveAtBoot | kUnderDevelopment)) != 0) {
    return unsupported(fmt::format("unknown bits {:#x} in section TP", bits),
                       fmt::format("{:#x}", bits));
  }
  metadata.temporary = bits;
  return {};
}

Result<void> decode_depends(Bytes payload, std::size_t offset, Metadata& metadata) {
  Reader reader{payload};
  const auto count = take<std::uint32_t>(reader);
  if (count != reader.left() / 8) {
    return corrupt("section ND", offset, "the number of entries does not fit the section",
                   std::to_string(count));
  }
  auto& depends = metadata.depends.emplace();
  while (reader.left() > 0) {
    const auto version = take<std::uint32_t>(reader);
    depends.push_back({.version = version, .identity_type = take<std::uint32_t>(reader)});
  }
  return {};
}

Result<void> decode_compression(Bytes payload, std::size_t /*offset*/, Metadata& metadata) {
  Reader reader{payload};
  metadata.uncompressed_size = take<std::uint32_t>(reader);
  if (const auto type = take<std::uint32_t>(reader); type != kCompressionLzma) {
    return unsupported(fmt::format("unknown compression type {} in section CM", type),
                       std::to_string(type));
  }
  metadata.compressed = true;
  return {};
}

std::string type_text(std::uint16_t type) {
  const auto name = image_type_name(type);
  return name.empty() ? std::to_string(type) : fmt::format("{} ({})", name, type);
}

SectionField field(std::string key, std::string label, std::string text) {
  return {.key = std::move(key), .label = std::move(label), .text = std::move(text)};
}

std::string yes_or_no(bool value) { return value ? "yes" : "no"; }

std::vector<SectionField> describe_identity(Bytes payload) {
  Metadata metadata;
  if (!decode_identity(payload, 0, metadata)) {
    return {};
  }
  return {field("imageType", "Image type", type_text(metadata.identity.image_type)),
          field("componentId", "Component ID", metadata.identity.component_id.text()),
          field("imageId", "Image ID", metadata.identity.image_id.text())};
}

std::vector<SectionField> describe_signature(Bytes payload) {
  Metadata metadata;
  if (!decode_signature(payload, 0, metadata)) {
    return {};
  }
  const auto type = metadata.signature_info.signing_type;
  return {field("signingType", "Type",
                type == kSigningTypeEcdsaP256 ? "ECDSA P-256, SHA-256 (1)"
                                              : "ECDSA P-256, package v2 (0x80000002)"),
          field("certificate", "Certificate", to_hex(metadata.signature_info.thumbprint))};
}

std::vector<SectionField> describe_debug(Bytes payload) {
  Metadata metadata;
  if (!decode_debug(payload, 0, metadata)) {
    return {};
  }
  const auto time = std::min(metadata.debug.build_time, std::uint64_t{INT64_MAX});
  return {field("name", "Name", metadata.debug.name),
          field("builtUtc", "Built", to_rfc3339(static_cast<std::int64_t>(time)))};
}

std::vector<SectionField> describe_temporary(Bytes payload) {
  Reader reader{payload};
  const auto bits = take<std::uint32_t>(reader);
  return {field("removeAtBoot", "Remove at boot", yes_or_no((bits & kRemoveAtBoot) != 0)),
          field("underDevelopment", "Development", yes_or_no((bits & kUnderDevelopment) != 0))};
}

std::string identity_type_text(std::uint32_t type) {
  constexpr std::array<std::string_view, 4> kNames = {"None", "Secure-world runtime", "OS runtime",
                                                      "Application runtime"};
  return type < kNames.size() ? std::string{kNames.at(type)}
                              : fmt::format("Identity type {}", type);
}

std::vector<SectionField> describe_depends(Bytes payload) {
  Metadata metadata;
  if (!decode_depends(payload, 0, metadata) || !metadata.depends) {
    return {};
  }
  std::vector<SectionField> fields;
  for (const auto& entry : *metadata.depends) {
    fields.push_back(field(
        "dependsOn", "Depends on",
        fmt::format("{}, version {}", identity_type_text(entry.identity_type), entry.version)));
  }
  if (fields.empty()) {
    fields.push_back(field("dependsOn", "Depends on", "nothing"));
  }
  return fields;
}

std::vector<SectionField> describe_compression(Bytes payload) {
  Reader reader{payload};
  const auto size = take<std::uint32_t>(reader);
  return {
      field("compression", "Compression", "LZMA"),
      field("uncompressedBytes", "Uncompressed", fmt::format("{} bytes", with_thousands(size)))};
}

constexpr std::array<SectionRule, 21> kRules = {{
    {.id = {'I', 'D'},
     .name = "Identity",
     .fits = is_length<36>,
     .decode = decode_identity,
     .describe = describe_identity},
    {.id = {'S', 'G'},
     .name = "Signature",
     .fits = is_length<24>,
     .decode = decode_signature,
     .describe = describe_signature},
    {.id = {'D', 'B'},
     .name = "Debug",
     .fits = is_length<40>,
     .decode = decode_debug,
     .describe = describe_debug},
    {.id = {'T', 'P'},
     .name = "Temporary image",
     .fits = is_length<4>,
     .decode = decode_temporary,
     .describe = describe_temporary},
    {.id = {'N', 'D'},
     .name = "ABI depends",
     .fits = is_list_length,
     .decode = decode_depends,
     .describe = describe_depends},
    {.id = {'C', 'M'},
     .name = "Compression",
     .fits = is_length<8>,
     .decode = decode_compression,
     .describe = describe_compression},
    {.id = {'v', '2'},
     .name = "Content",
     .fits = is_length<40>,
     .decode = decode_content,
     .describe = describe_content},
    {.id = {'m', 't'},
     .name = "Merkle tree",
     .fits = is_length<80>,
     .decode = decode_tree,
     .describe = describe_tree},
    {.id = {'c', 'z'},
     .name = "Chunk compression",
     .fits = is_chunk_table_length,
     .decode = decode_chunks,
     .describe = describe_chunks},
    {.id = {'s', 'v'},
     .name = "Security version",
     .fits = is_length<8>,
     .decode = decode_security,
     .describe = describe_security},
    {.id = {'h', 'w'},
     .name = "Hardware",
     .fits = is_board_list_length,
     .decode = decode_hardware,
     .describe = describe_hardware},
    {.id = {'k', 'i'},
     .name = "Signing key",
     .fits = is_length<32>,
     .decode = decode_key_id,
     .describe = describe_key_id},
    {.id = {'b', 'p'},
     .name = "Provenance",
     .fits = is_provenance_length,
     .decode = decode_provenance,
     .describe = describe_provenance},
    {.id = {'s', 'b'},
     .name = "SBOM",
     .fits = is_sbom_length,
     .decode = decode_sbom,
     .describe = describe_sbom},
    {.id = {'s', 't'},
     .name = "Signing time",
     .fits = is_length<8>,
     .decode = decode_signing_time,
     .describe = describe_signing_time},
    {.id = {'N', 'P'},
     .name = "ABI provides",
     .fits = is_list_length,
     .decode = nullptr,
     .describe = nullptr},
    {.id = {'R', 'V'},
     .name = "Revocation",
     .fits = is_length<4>,
     .decode = nullptr,
     .describe = nullptr},
    {.id = {'R', 'O'},
     .name = "Required flash offset",
     .fits = nullptr,
     .decode = nullptr,
     .describe = nullptr},
    {.id = {'A', 'D'},
     .name = "Legacy depends",
     .fits = nullptr,
     .decode = nullptr,
     .describe = nullptr},
    {.id = {'A', 'P'},
     .name = "Legacy provides",
     .fits = nullptr,
     .decode = nullptr,
     .describe = nullptr},
    {.id = {'L', 'G'}, .name = "Legacy", .fits = nullptr, .decode = nullptr, .describe = nullptr},
}};

using ImageType = std::pair<std::uint16_t, std::string_view>;

constexpr std::array<ImageType, 24> kImageTypes = {{
    {0, "Invalid"},
    {1, "First boot loader"},
    {2, "Pluton runtime"},
    {3, "Wi-Fi firmware"},
    {4, "Security Monitor"},
    {5, "Normal-world loader"},
    {6, "Normal-world device tree"},
    {7, "Normal-world kernel"},
    {8, "Root file system"},
    {9, "Services"},
    {kApplication, "Application"},
    {kCapability, "Firmware configuration"},
    {16, "Boot manifest"},
    {17, "Normal-world file system"},
    {19, "Trusted key store"},
    {20, "Policy"},
    {kBoardConfiguration, "Board configuration"},
    {22, "Update certificate store"},
    {23, "Base system update manifest"},
    {24, "Firmware update manifest"},
    {25, "Customer update manifest"},
    {26, "Recovery manifest"},
    {27, "Manifest set"},
    {28, "Other"},
}};

}  // namespace

const SectionRule* find_rule(std::array<char, 2> id) {
  const auto* found = std::ranges::find_if(kRules, [&](const auto& rule) { return rule.id == id; });
  return found == kRules.end() ? nullptr : found;
}

std::string id_text(std::array<char, 2> id) {
  return escape_control(std::string_view{id.data(), id.size()});
}

std::string_view section_name(std::array<char, 2> id) {
  const auto* rule = find_rule(id);
  return rule == nullptr ? std::string_view{} : rule->name;
}

std::vector<SectionField> describe_section(const Section& section) {
  const auto* rule = find_rule(section.id);
  if (rule == nullptr || rule->describe == nullptr ||
      (rule->fits != nullptr && !rule->fits(section.payload.size()))) {
    return {};
  }
  return rule->describe(section.payload);
}

std::string_view image_type_name(std::uint16_t image_type) {
  const auto* found = std::ranges::find(kImageTypes, image_type, &ImageType::first);
  return found == kImageTypes.end() ? std::string_view{} : found->second;
}

}  // namespace sphere::image
