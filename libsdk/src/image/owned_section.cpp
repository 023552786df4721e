// SPDX-License-Identifier: MIT
#include "libsdk/src/image/owned_section.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "sphere/core/guid.h"
#include "sphere/core/text.h"
#include "sphere/core/writer.h"
#include "sphere/crypto/digest.h"
#include "sphere/image/metadata.h"

namespace sphere::image {
namespace {

constexpr std::size_t kNameSize = 32;  // In DB, the NUL included.

}  // namespace

OwnedSection identity_section(const Identity& identity) {
  Writer writer;
  writer.little_endian(identity.image_type)
      .little_endian(std::uint16_t{0})
      .bytes(identity.component_id.stored())
      .bytes(identity.image_id.stored());
  return {.id = {'I', 'D'}, .payload = std::move(writer).take()};
}

OwnedSection signature_section(const SignatureInfo& info) {
  Writer writer;
  writer.bytes(info.thumbprint).little_endian(info.signing_type);
  return {.id = {'S', 'G'}, .payload = std::move(writer).take()};
}

OwnedSection debug_section(const DebugInfo& debug) {
  const auto name =
      cut_utf8(std::string_view{debug.name}.substr(0, debug.name.find('\0')), kNameSize - 1);
  Writer writer;
  writer.little_endian(debug.build_time).text(name).zeros(kNameSize - name.size());
  return {.id = {'D', 'B'}, .payload = std::move(writer).take()};
}

OwnedSection temporary_section(std::uint32_t bits) {
  Writer writer;
  writer.little_endian(bits);
  return {.id = {'T', 'P'}, .payload = std::move(writer).take()};
}

OwnedSection depends_section(const std::vector<AbiDependency>& depends) {
  Writer writer;
  writer.little_endian(static_cast<std::uint32_t>(depends.size()));
  for (const auto& entry : depends) {
    writer.little_endian(entry.version).little_endian(entry.identity_type);
  }
  return {.id = {'N', 'D'}, .payload = std::move(writer).take()};
}

std::vector<OwnedSection> common_sections(
    const Identity& identity, const SignatureInfo& signature_info, const DebugInfo& debug,
    std::optional<std::uint32_t> temporary,
    const std::optional<std::vector<AbiDependency>>& depends) {
  std::vector<OwnedSection> sections;
  sections.push_back(identity_section(identity));
  sections.push_back(signature_section(signature_info));
  sections.push_back(debug_section(debug));
  if (temporary) {
    sections.push_back(temporary_section(*temporary));
  }
  if (depends) {
    sections.push_back(depends_section(*depends));
  }
  return sections;
}

Guid guid_of_digest(const crypto::Sha256Digest& digest) {
  std::array<std::byte, Guid::kSize> bytes = {};
  std::ranges::copy(std::span{digest}.first<Guid::kSize>(), bytes.begin());
  bytes[7] = (bytes[7] & std::byte{0x0F}) | std::byte{0x80};  // Version 8 of RFC 9562,
  bytes[8] = (bytes[8] & std::byte{0x3F}) | std::byte{0x80};  // its variant.
  return Guid::from_stored(bytes);
}

std::vector<std::byte> write_sections(std::span<const OwnedSection> sections) {
  std::vector<Section> views;
  for (const auto& section : sections) {
    views.push_back({.id = section.id, .payload = section.payload});
  }
  return write_sections(std::span<const Section>{views});
}

}  // namespace sphere::image
