// SPDX-License-Identifier: MIT
#include "sphere/image/trust_image.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "libsdk/src/image/failure.h"
#include "libsdk/src/image/section_reader.h"
#include "sphere/core/encoding.h"
#include "sphere/core/guid.h"
#include "sphere/core/reader.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/core/writer.h"
#include "sphere/crypto/digest.h"
#include "sphere/crypto/key.h"
#include "sphere/crypto/signer.h"
#include "sphere/image/block_io.h"
#include "sphere/image/metadata.h"
#include "sphere/image/pack_v2.h"
#include "sphere/image/package.h"
#include "sphere/image/sections_v2.h"
#include "sphere/image/trust.h"
#include "sphere/image/verify_v2.h"

namespace sphere::image {
namespace {

using Bytes = std::span<const std::byte>;

constexpr std::string_view kPart = "trust store";
constexpr std::string_view kMagic = "SPTS";
constexpr std::uint16_t kLayout = 1;
constexpr std::size_t kHeadSize = 20;
constexpr std::size_t kSpkiSize = 91;
constexpr std::array kRoles = {Role::production,          Role::development, Role::capability,
                               Role::board_configuration, Role::os,          Role::trust_store};

std::uint8_t number_of(Role role) {
  return static_cast<std::uint8_t>(std::ranges::find(kRoles, role) - kRoles.begin() + 1);
}

// In the order of the record.
bool comes_before(const TrustEntry& a, const TrustEntry& b) {
  return number_of(a.role) != number_of(b.role) ? number_of(a.role) < number_of(b.role)
                                                : a.key.id() < b.key.id();
}

// A rule that a store breaks, and by what.
struct Breach {
  std::string rule;
  std::string value = {};
};

std::optional<Breach> breach_of_entry(const TrustRecord& record, const TrustEntry& entry) {
  const auto id = entry.key.id();
  if (is_published_key(entry.key)) {
    return Breach{.rule = "it holds the key of the published test vectors, which anybody has",
                  .value = to_hex(id)};
  }
  if (entry.role != Role::development && entry.key == public_test_key()) {
    return Breach{.rule = fmt::format("it holds the public test key with role {}; it can only be a "
                                      "development key",
                                      role_name(entry.role)),
                  .value = to_hex(id)};
  }
  if (std::ranges::binary_search(record.revoked, id)) {
    return Breach{.rule = "a key is in it that it revokes", .value = to_hex(id)};
  }
  const bool has_other_role = std::ranges::any_of(record.entries, [&](const TrustEntry& other) {
    return other.role != Role::trust_store && other.key == entry.key;
  });
  if (entry.role == Role::trust_store && has_other_role) {
    return Breach{.rule = "a trust-store key has another role, too", .value = to_hex(id)};
  }
  if (entry.label.size() > kMaxTrustLabel || !is_plain_text(entry.label)) {
    return Breach{
        .rule = fmt::format("a label is not at most {} bytes of UTF-8 text without control "
                            "characters",
                            kMaxTrustLabel),
        .value = escape_control(entry.label)};
  }
  return std::nullopt;
}

// What the parts of a sorted record say together.
std::optional<Breach> breach_of(const TrustRecord& record) {
  if (record.version == 0) {
    return Breach{.rule = "a store has not version 0", .value = "0"};
  }
  for (const auto& entry : record.entries) {
    if (auto breach = breach_of_entry(record, entry)) {
      return breach;
    }
  }
  if (std::ranges::find(record.entries, Role::trust_store, &TrustEntry::role) ==
      record.entries.end()) {
    return Breach{.rule = "it has no trust-store key, so nothing could ever replace it"};
  }
  return std::nullopt;
}

// The fields before the keys.
struct Head {
  std::uint32_t version = 0;
  std::uint16_t keys = 0, revoked = 0;
};

Result<Head> read_head(Reader& reader, std::size_t size) {
  if (size > kMaxTrustRecord) {
    return too_large(
        fmt::format("a trust store of {} bytes; at most {} are allowed", size, kMaxTrustRecord),
        std::to_string(size));
  }
  if (size < kHeadSize) {
    return corrupt(kPart, 0, fmt::format("{} bytes are too short", size), std::to_string(size));
  }
  if (const auto magic = reader.bytes(kMagic.size()).value_or(Bytes{}); as_text(magic) != kMagic) {
    return corrupt(kPart, 0, "it has a wrong magic", to_hex(magic));
  }
  if (const auto layout = take<std::uint16_t>(reader); layout != kLayout) {
    return unsupported(fmt::format("unknown layout version {} of the trust store", layout),
                       std::to_string(layout));
  }
  if (const auto reserved = take<std::uint16_t>(reader); reserved != 0) {
    return corrupt(kPart, 6, "a field that must be zero is not", std::to_string(reserved));
  }
  Head head;
  head.version = take<std::uint32_t>(reader);
  head.keys = take<std::uint16_t>(reader);
  head.revoked = take<std::uint16_t>(reader);
  if (head.keys == 0 || head.keys > kMaxTrustKeys) {
    return corrupt(kPart, 12, fmt::format("{} keys, not 1 to {}", head.keys, kMaxTrustKeys),
                   std::to_string(head.keys));
  }
  if (head.revoked > kMaxRevokedKeys) {
    return corrupt(kPart, 14,
                   fmt::format("{} revoked keys, not 0 to {}", head.revoked, kMaxRevokedKeys),
                   std::to_string(head.revoked));
  }
  if (const auto stated = take<std::uint32_t>(reader); stated != size) {
    return corrupt(kPart, 16, fmt::format("its size is {}, not {}", size, stated),
                   std::to_string(stated));
  }
  return head;
}

// The bytes of one key, whose fixed part begins at `offset`.
struct RawEntry {
  std::uint8_t role = 0, thumbprints = 0, label = 0, reserved = 0;
};

Result<RawEntry> read_fixed(Reader& reader, std::size_t offset) {
  const auto fixed = reader.bytes(4);
  if (!fixed) {
    return corrupt(kPart, offset, "it ends within a key");
  }
  const auto at = [&](std::size_t i) { return std::to_integer<std::uint8_t>((*fixed)[i]); };
  const RawEntry raw{.role = at(0), .thumbprints = at(1), .label = at(2), .reserved = at(3)};
  if (raw.role == 0 || raw.role > kRoles.size()) {
    return corrupt(kPart, offset, fmt::format("no role has the number {}", raw.role),
                   std::to_string(raw.role));
  }
  if (raw.thumbprints > kMaxTrustThumbprints) {
    return corrupt(kPart, offset + 1, fmt::format("a key has {} thumbprints", raw.thumbprints),
                   std::to_string(raw.thumbprints));
  }
  if (raw.label > kMaxTrustLabel) {
    return corrupt(kPart, offset + 2, fmt::format("a label has {} bytes", raw.label),
                   std::to_string(raw.label));
  }
  if (raw.reserved != 0) {
    return corrupt(kPart, offset + 3, "a field that must be zero is not",
                   std::to_string(raw.reserved));
  }
  return raw;
}

Result<std::vector<crypto::Sha1Digest>> read_thumbprints(Bytes bytes, std::size_t count,
                                                         std::size_t offset) {
  Reader reader{bytes};
  std::vector<crypto::Sha1Digest> thumbprints;
  for (std::size_t i = 0; i < count; ++i) {
    crypto::Sha1Digest thumbprint = {};
    take_bytes(reader, thumbprint);
    if (!thumbprints.empty() && thumbprints.back() >= thumbprint) {
      return corrupt(kPart, offset, "the thumbprints of a key are not ascending",
                     to_hex(thumbprint));
    }
    thumbprints.push_back(thumbprint);
  }
  return thumbprints;
}

Result<TrustEntry> read_entry(Reader& reader, std::size_t offset) {
  SPHERE_TRY_ASSIGN(const auto raw, read_fixed(reader, offset));
  const auto spki = reader.bytes(kSpkiSize);
  const auto hints = reader.bytes(raw.thumbprints * std::size_t{20});
  const auto label = reader.bytes(raw.label);
  if (!spki || !hints || !label) {
    return corrupt(kPart, offset, "it ends within a key");
  }
  auto key = crypto::PublicKey::from_spki(*spki);
  if (!key || !std::ranges::equal(key->spki(), *spki)) {
    return corrupt(kPart, offset + 4, "no public key on P-256 in the form that is used here");
  }
  SPHERE_TRY_ASSIGN(auto thumbprints,
                    read_thumbprints(*hints, raw.thumbprints, offset + 4 + kSpkiSize));
  return TrustEntry{.key = *std::move(key),
                    .thumbprints = std::move(thumbprints),
                    .role = kRoles.at(raw.role - std::size_t{1}),
                    .label = std::string{as_text(*label)}};
}

Result<void> read_entries(Reader& reader, std::size_t size, std::size_t count,
                          TrustRecord& record) {
  for (std::size_t i = 0; i < count; ++i) {
    const auto offset = size - reader.left();
    SPHERE_TRY_ASSIGN(auto entry, read_entry(reader, offset));
    if (!record.entries.empty() && !comes_before(record.entries.back(), entry)) {
      return corrupt(kPart, offset, "the keys are not in ascending order", to_hex(entry.key.id()));
    }
    record.entries.push_back(std::move(entry));
  }
  return {};
}

Result<void> read_revoked(Reader& reader, std::size_t size, std::size_t count,
                          TrustRecord& record) {
  for (std::size_t i = 0; i < count; ++i) {
    const auto offset = size - reader.left();
    const auto bytes = reader.bytes(crypto::KeyId{}.size());
    if (!bytes) {
      return corrupt(kPart, offset, "it ends within a revoked key");
    }
    crypto::KeyId id = {};
    std::ranges::copy(*bytes, id.begin());
    if (!record.revoked.empty() && record.revoked.back() >= id) {
      return corrupt(kPart, offset, "the revoked keys are not in ascending order", to_hex(id));
    }
    record.revoked.push_back(id);
  }
  return {};
}

tl::unexpected<Error> refused(std::string message, std::string value) {
  return fail(Errc::invalid_argument, std::move(message),
              {.reason = "usage.bad-value",
               .value = std::move(value),
               .next = "change which keys it has, and in which role"});
}

// Everything in the order of the record, each once.
TrustRecord sorted(TrustRecord record) {
  for (auto& entry : record.entries) {
    auto& hints = entry.thumbprints;
    std::ranges::sort(hints);
    const auto repeated = std::ranges::unique(hints);
    hints.erase(repeated.begin(), repeated.end());
  }
  std::ranges::sort(record.entries, comes_before);
  std::ranges::sort(record.revoked);
  const auto repeated = std::ranges::unique(record.revoked);
  record.revoked.erase(repeated.begin(), repeated.end());
  return record;
}

Result<void> check_counts(const TrustRecord& record) {
  if (record.entries.empty() || record.entries.size() > kMaxTrustKeys) {
    return refused(
        fmt::format("a trust store has 1 to {} keys, not {}", kMaxTrustKeys, record.entries.size()),
        std::to_string(record.entries.size()));
  }
  if (record.revoked.size() > kMaxRevokedKeys) {
    return refused(fmt::format("a trust store revokes at most {} keys, not {}", kMaxRevokedKeys,
                               record.revoked.size()),
                   std::to_string(record.revoked.size()));
  }
  for (std::size_t i = 0; i < record.entries.size(); ++i) {
    const auto& entry = record.entries[i];
    if (entry.thumbprints.size() > kMaxTrustThumbprints) {
      return refused(fmt::format("a key has at most {} thumbprints", kMaxTrustThumbprints),
                     to_hex(entry.key.id()));
    }
    if (i > 0 && !comes_before(record.entries[i - 1], entry)) {
      return refused(fmt::format("a key is twice in the store with role {}", role_name(entry.role)),
                     to_hex(entry.key.id()));
    }
  }
  return {};
}

void write_entry(const TrustEntry& entry, Writer& writer) {
  writer.little_endian(number_of(entry.role))
      .little_endian(static_cast<std::uint8_t>(entry.thumbprints.size()))
      .little_endian(static_cast<std::uint8_t>(entry.label.size()))
      .zeros(1)
      .bytes(entry.key.spki());
  for (const auto& thumbprint : entry.thumbprints) {
    writer.bytes(thumbprint);
  }
  writer.text(entry.label);
}

// What the metadata must say of a trust store.
Result<void> check_head(const Package& package) {
  const auto& metadata = package.metadata;
  const bool is_store = package.kind == PackageKind::package_v2 && metadata.v2.content &&
                        metadata.identity.image_type == kTrustedKeyStore;
  if (!is_store) {
    return unsupported("this is no trust store in a package v2 but: " + kind_text(metadata));
  }
  if (const auto format = metadata.v2.content->format; format != BodyFormat::block_image) {
    return unsupported(fmt::format("a trust store is no {}", to_text(format)),
                       std::string{to_text(format)});
  }
  if (metadata.identity.component_id != trust_store_component()) {
    return corrupt("metadata", 0, "the component is not that of a trust store",
                   metadata.identity.component_id.text());
  }
  if (metadata.temporary) {
    return corrupt("metadata", 0, "a trust store cannot be temporary or under development");
  }
  return {};
}

Result<std::vector<std::byte>> read_content(const Package& package) {
  const auto size = package.metadata.v2.content.value_or(ContentHeader{}).content_size;
  if (size > kMaxTrustRecord) {
    return too_large(
        fmt::format("a trust store of {} bytes; at most {} are allowed", size, kMaxTrustRecord),
        std::to_string(size));
  }
  SPHERE_TRY_ASSIGN(const auto body, open_body(package));
  std::vector<std::byte> content;
  SPHERE_TRY(stream_bytes(*body, 0, size, [&content](Bytes bytes) -> Result<void> {
    content.insert(content.end(), bytes.begin(), bytes.end());
    return {};
  }));
  return content;
}

}  // namespace

const Guid& trust_store_component() {
  static const auto kId = Guid::parse("cf60860e-e243-8ce9-8213-b188e7a0e155").value_or(Guid{});
  return kId;
}

Result<TrustRecord> read_trust_record(Bytes body) {
  Reader reader{body};
  SPHERE_TRY_ASSIGN(const auto head, read_head(reader, body.size()));
  TrustRecord record{.version = head.version};
  SPHERE_TRY(read_entries(reader, body.size(), head.keys, record));
  SPHERE_TRY(read_revoked(reader, body.size(), head.revoked, record));
  if (reader.left() != 0) {
    return corrupt(kPart, body.size() - reader.left(), "bytes after the last key",
                   std::to_string(reader.left()));
  }
  if (auto breach = breach_of(record)) {
    return corrupt(kPart, 0, breach->rule, std::move(breach->value));
  }
  return record;
}

Result<std::vector<std::byte>> write_trust_record(const TrustRecord& record) {
  const auto store = sorted(record);
  SPHERE_TRY(check_counts(store));
  if (auto breach = breach_of(store)) {
    return refused("this trust store would be refused: " + breach->rule, std::move(breach->value));
  }
  Writer keys;
  for (const auto& entry : store.entries) {
    write_entry(entry, keys);
  }
  for (const auto& id : store.revoked) {
    keys.bytes(id);
  }
  Writer writer;
  writer.text(kMagic)
      .little_endian(kLayout)
      .zeros(2)
      .little_endian(store.version)
      .little_endian(static_cast<std::uint16_t>(store.entries.size()))
      .little_endian(static_cast<std::uint16_t>(store.revoked.size()))
      .little_endian(static_cast<std::uint32_t>(kHeadSize + keys.size()))
      .bytes(keys.data());
  return std::move(writer).take();
}

Result<TrustRecord> open_trust_record(const Package& package) {
  SPHERE_TRY(check_head(package));
  SPHERE_TRY_ASSIGN(const auto content, read_content(package));
  SPHERE_TRY_ASSIGN(auto record, read_trust_record(content));
  const auto security = package.metadata.v2.security.value_or(SecurityVersion{});
  if (security.image != record.version) {
    return corrupt(kPart, 8,
                   fmt::format("its version {} is not the security version {} of the "
                               "package",
                               record.version, security.image),
                   std::to_string(record.version));
  }
  return record;
}

Result<PackedV2> pack_trust_image(const TrustImage& image, const crypto::Signer& signer,
                                  const Tools& tools, const PackOutput& output) {
  SPHERE_TRY_ASSIGN(const auto body, write_trust_record(image.record));
  const MemoryBlocks source{body};
  RawImage raw{.source = &source,
               .size = body.size(),
               .format = BodyFormat::block_image,
               .info = {.image_type = kTrustedKeyStore,
                        .component_id = trust_store_component(),
                        .image_id = image.image_id,
                        .build_time = image.build_time,
                        .name = "trust-store",
                        .temporary = std::nullopt,
                        .security = SecurityVersion{.image = image.record.version},
                        .provenance = image.provenance}};
  if (!image.boards.empty()) {
    TargetHardware hardware{.boards = image.boards};
    SPHERE_TRY(sort_boards(hardware));
    raw.info.hardware = std::move(hardware);
  }
  return pack_raw_image(raw, signer, tools, output);
}

}  // namespace sphere::image
