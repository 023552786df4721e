// SPDX-License-Identifier: MIT
#include "sphere/image/trust.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "libsdk/src/image/verify.h"
#include "sphere/core/encoding.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/crypto/digest.h"
#include "sphere/crypto/key.h"
#include "sphere/image/metadata.h"
#include "sphere/image/package.h"

namespace sphere::image {
namespace {

// x | y of the SDK's test key.
constexpr std::array<std::uint8_t, 64> kPublicTestPoint = {
    0xED, 0xF2, 0x33, 0xC0, 0x0D, 0x31, 0x14, 0x1D, 0x8F, 0x3F, 0x56, 0x33, 0x43, 0x40, 0xCC, 0xD8,
    0xC1, 0x69, 0xFB, 0x67, 0xE2, 0xEC, 0x56, 0x4B, 0xF8, 0xA5, 0xEF, 0x58, 0x6B, 0x1C, 0x3F, 0x7B,
    0xC1, 0x88, 0xCA, 0x20, 0x87, 0x01, 0xE6, 0xD7, 0xC7, 0x75, 0x6A, 0x13, 0x26, 0x38, 0xFE, 0x98,
    0xC9, 0xA0, 0x20, 0x07, 0x40, 0x3D, 0xE5, 0xC4, 0x22, 0xE6, 0xA7, 0xE8, 0x26, 0xA4, 0xBD, 0x24};

// SHA-1 of its certificate, as section SG of every package signed with it has it.
constexpr std::array<std::uint8_t, 20> kPublicTestThumbprint = {
    0xA8, 0xD5, 0xCC, 0x69, 0x58, 0xF4, 0x87, 0x10, 0x14, 0x0D,
    0x7A, 0x26, 0x16, 0x0F, 0xC1, 0xCF, 0xC3, 0x1F, 0x5D, 0xF0};

// SHA-256 of the SubjectPublicKeyInfo of the key of the test vectors.
constexpr std::array<std::uint8_t, 32> kPublishedKeyId = {
    0x0A, 0x4E, 0x3F, 0xEE, 0x1F, 0xE7, 0xFC, 0x1C, 0xF8, 0xA3, 0xEC, 0x11, 0x3C, 0xE8, 0xC1, 0x4E,
    0xF3, 0xDB, 0x90, 0x3C, 0xC5, 0x3F, 0xC9, 0xC7, 0xF5, 0xBF, 0xF4, 0x0A, 0x85, 0x27, 0x2A, 0x17};

crypto::PublicKey make_public_test_key() {
  auto key = crypto::PublicKey::from_point(std::as_bytes(std::span{kPublicTestPoint}));
  if (!key) {
    std::abort();  // A constant: only a broken OpenSSL says no.
  }
  return *std::move(key);
}

tl::unexpected<Error> untrusted(std::string message, const Metadata& metadata, std::string next) {
  return fail(Errc::unverified, std::move(message),
              {.reason = "package.untrusted",
               .value = to_hex(metadata.signature_info.thumbprint),
               .next = std::move(next)});
}

bool is_named_in(const Metadata& metadata, const TrustEntry& entry) {
  return std::ranges::find(entry.thumbprints, metadata.signature_info.thumbprint) !=
         entry.thumbprints.end();
}

tl::unexpected<Error> wrong_usage(const TrustEntry& entry, const Metadata& metadata) {
  return untrusted(
      fmt::format("the key that signed the package is for another use: {}{} keys do not sign: {}",
                  entry.label.empty() ? std::string{} : escape_control(entry.label) + ": ",
                  role_name(entry.role), kind_text(metadata)),
      metadata, "sign it with a key for this kind of image");
}

// Format v1: one signature over all bytes before it.
Result<TrustEntry> verify_flat(const Package& package, const TrustStore& trust) {
  SPHERE_TRY_ASSIGN(const auto digests, check_body(package));
  return find_signer(digests.signed_bytes, package.metadata, trust);
}

Result<TrustEntry> verify_kind(Package& package, const TrustStore& trust) {
  switch (package.kind) {
    case PackageKind::production:
      return verify_production(package, trust);
    case PackageKind::package_v2:
      return verify_v2(package, trust);
    case PackageKind::application:
    case PackageKind::capability:
    case PackageKind::board_configuration:
    case PackageKind::other:
      break;
  }
  return verify_flat(package, trust);
}

}  // namespace

bool is_published_key(const crypto::PublicKey& key) {
  return std::ranges::equal(key.id(), std::as_bytes(std::span{kPublishedKeyId}));
}

TrustStore TrustStore::for_test_vectors() {
  TrustStore store;
  store.takes_published_key_ = true;
  return store;
}

void TrustStore::add(TrustEntry entry) {
  if (takes_published_key_ || !is_published_key(entry.key)) {
    entries_.push_back(std::move(entry));
  }
}

const crypto::PublicKey& public_test_key() {
  static const auto key = make_public_test_key();
  return key;
}

const crypto::Sha1Digest& public_test_thumbprint() {
  static const auto thumbprint = [] {
    crypto::Sha1Digest bytes = {};
    std::ranges::copy(std::as_bytes(std::span{kPublicTestThumbprint}), bytes.begin());
    return bytes;
  }();
  return thumbprint;
}

std::string_view role_name(Role role) {
  switch (role) {
    case Role::production:
      return "production";
    case Role::development:
      return "development";
    case Role::capability:
      return "capability";
    case Role::board_configuration:
      return "board-configuration";
    case Role::os:
      return "os";
    case Role::trust_store:
      return "trust-store";
  }
  return "unknown";
}

bool may_sign(Role role, std::uint16_t image_type) {
  switch (image_type) {
    case kApplication:
      return role == Role::production || role == Role::development;
    case kCapability:
      return role == Role::capability;
    case kBoardConfiguration:
      return role == Role::board_configuration;
    case kTrustedKeyStore:
      return role == Role::trust_store;
    default:
      return role == Role::os;
  }
}

Result<TrustEntry> find_signer(const crypto::Sha256Digest& digest, const Metadata& metadata,
                               const TrustStore& trust) {
  const auto signature = metadata.signature.first<crypto::kSignatureSize>();
  // The thumbprint orders the attempts and words the error; the key alone decides.
  std::vector<const TrustEntry*> entries;
  std::vector<const TrustEntry*> others;
  for (const auto& entry : trust.entries()) {
    (is_named_in(metadata, entry) ? entries : others).push_back(&entry);
  }
  const bool names_one = !entries.empty();
  entries.insert(entries.end(), others.begin(), others.end());
  const TrustEntry* unfit = nullptr;
  for (const auto* entry : entries) {
    if (!entry->key.verify(digest, signature)) {
      continue;
    }
    if (may_sign(entry->role, metadata.identity.image_type)) {
      return *entry;
    }
    unfit = entry;
  }
  if (unfit != nullptr) {
    return wrong_usage(*unfit, metadata);
  }
  if (names_one) {
    return untrusted("the package is damaged: its signature does not match the key it names",
                     metadata, "get or build the package again");
  }
  return untrusted("no trusted key has signed the package", metadata,
                   "sign it with a trusted key: sphere image-package sign");
}

Result<Verified<Package>> verify(Package package, const TrustStore& trust) {
  SPHERE_TRY_ASSIGN(auto signer, verify_kind(package, trust));
  return Verified<Package>{std::move(package), std::move(signer)};
}

}  // namespace sphere::image
