// SPDX-License-Identifier: MIT
#include "sphere/image/sign_v2.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "libsdk/src/image/failure.h"
#include "libsdk/src/image/finish_v2.h"
#include "libsdk/src/image/owned_section.h"
#include "sphere/core/result.h"
#include "sphere/core/writer.h"
#include "sphere/crypto/key.h"
#include "sphere/crypto/signer.h"
#include "sphere/image/merkle.h"
#include "sphere/image/metadata.h"
#include "sphere/image/package.h"

namespace sphere::image {
namespace {

OwnedSection key_id_section(const crypto::KeyId& id) {
  return {.id = {'k', 'i'}, .payload = {id.begin(), id.end()}};
}

OwnedSection time_section(std::uint64_t time) {
  Writer writer;
  writer.little_endian(time);
  return {.id = {'s', 't'}, .payload = std::move(writer).take()};
}

// The sections with those replaced that a signer sets.
std::vector<OwnedSection> signed_sections(const Metadata& metadata, const SignV2& options,
                                          const crypto::KeyId& key_id) {
  std::vector<OwnedSection> sections;
  for (const auto& section : metadata.sections) {
    const std::string_view id{section.id.data(), section.id.size()};
    if (id == "SG") {
      sections.push_back(signature_section(signature_info_v2(key_id)));
    } else if (id == "ki") {
      sections.push_back(key_id_section(key_id));
    } else if (id != "st" && !(id == "TP" && options.production_time)) {
      sections.push_back(
          {.id = section.id, .payload = {section.payload.begin(), section.payload.end()}});
    }
  }
  if (options.production_time) {
    sections.push_back(time_section(*options.production_time));
  }
  return sections;
}

}  // namespace

Result<std::vector<std::byte>> sign_tail_v2(const Package& package, const SignV2& options,
                                            const crypto::Signer& signer) {
  if (package.layout == nullptr) {
    const auto kind = kind_text(package.metadata);
    return unsupported("this is no package v2 but: " + kind, kind);
  }
  std::array<std::byte, kVeritySuperblockSize> buffer = {};
  SPHERE_TRY_ASSIGN(const auto superblock, package.source->read(package.layout->body_area, buffer));
  const auto sections = signed_sections(package.metadata, options, signer.public_key().id());
  return sign_block_v2(superblock.first<kVeritySuperblockSize>(), write_sections(sections), signer);
}

}  // namespace sphere::image
