// SPDX-License-Identifier: MIT
// Writing the metadata block of package v2, and the image id that follows from it.
#include <algorithm>
#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "libsdk/src/image/owned_section.h"
#include "libsdk/src/image/sections_v2.h"
#include "sphere/core/guid.h"
#include "sphere/core/result.h"
#include "sphere/core/writer.h"
#include "sphere/crypto/digest.h"
#include "sphere/image/metadata.h"
#include "sphere/image/package_v2.h"
#include "sphere/image/sections_v2.h"

namespace sphere::image {
namespace {

std::vector<std::byte> bytes_of(std::span<const std::byte> bytes) {
  return {bytes.begin(), bytes.end()};
}

Result<void> add_provenance(const SectionsV2& sections, std::vector<OwnedSection>& list) {
  if (sections.provenance && !sections.provenance->empty()) {
    SPHERE_TRY_ASSIGN(const auto text, write_provenance(*sections.provenance));
    list.push_back({.id = {'b', 'p'}, .payload = bytes_of(std::as_bytes(std::span{text}))});
  }
  return {};
}

// A section as it stands in a block: id, length, payload.
void add_raw(Writer& writer, const OwnedSection& section) {
  writer.text({section.id.data(), section.id.size()})
      .little_endian(static_cast<std::uint16_t>(section.payload.size()))
      .bytes(section.payload);
}

}  // namespace

SignatureInfo signature_info_v2(const crypto::Sha256Digest& key_id) {
  SignatureInfo info{.signing_type = kSigningTypePackageV2};
  std::ranges::copy(std::span{key_id}.first<20>(), info.thumbprint.begin());
  return info;
}

Result<std::vector<std::byte>> write_metadata_v2(const MetadataV2& metadata) {
  const auto& v2 = metadata.sections;
  assert(v2.content && v2.tree && v2.key_id);
  auto list = common_sections(metadata.identity, signature_info_v2(*v2.key_id), metadata.debug,
                              metadata.temporary, metadata.depends);
  list.push_back({.id = {'v', '2'}, .payload = encode(*v2.content)});
  list.push_back({.id = {'m', 't'}, .payload = encode(*v2.tree)});
  if (v2.chunks) {
    list.push_back({.id = {'c', 'z'}, .payload = encode(*v2.chunks)});
  }
  if (v2.security) {
    list.push_back({.id = {'s', 'v'}, .payload = encode(*v2.security)});
  }
  if (v2.hardware) {
    list.push_back({.id = {'h', 'w'}, .payload = encode(*v2.hardware)});
  }
  list.push_back({.id = {'k', 'i'}, .payload = bytes_of(*v2.key_id)});
  SPHERE_TRY(add_provenance(v2, list));
  if (v2.sbom) {
    list.push_back({.id = {'s', 'b'}, .payload = encode(*v2.sbom)});
  }
  if (v2.signing_time) {
    Writer writer;
    writer.little_endian(*v2.signing_time);
    list.push_back({.id = {'s', 't'}, .payload = std::move(writer).take()});
  }
  return write_sections(list);
}

Guid derived_image_id_v2(const MetadataV2& metadata) {
  const auto& v2 = metadata.sections;
  assert(v2.content && v2.tree);
  Writer input;
  input.text("sphere image id v2")
      .zeros(1)
      .bytes(metadata.identity.component_id.stored())
      .bytes(v2.tree->root)
      .little_endian(v2.content->content_size);
  add_raw(input, debug_section(metadata.debug));
  if (metadata.depends) {
    add_raw(input, depends_section(*metadata.depends));
  }
  if (v2.security) {
    add_raw(input, {.id = {'s', 'v'}, .payload = encode(*v2.security)});
  }
  if (v2.hardware) {
    add_raw(input, {.id = {'h', 'w'}, .payload = encode(*v2.hardware)});
  }
  return guid_of_digest(crypto::sha256(input.data()));
}

}  // namespace sphere::image
