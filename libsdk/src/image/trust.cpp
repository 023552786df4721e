// SPDX-License-Identifier: MIT
#include "sphere/image/trust.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <utility>

#include "sphere/core/encoding.h"
#include "sphere/core/result.h"
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

crypto::PublicKey make_public_test_key() {
  auto key = crypto::PublicKey::from_point(std::as_bytes(std::span{kPublicTestPoint}));
  if (!key) {
    std::abort();  // A constant: only a broken OpenSSL says no.
  }
  return *std::move(key);
}

Result<Verified<Package>> untrusted(std::string message, const Metadata& metadata) {
  return fail(Errc::unverified, std::move(message),
              {.reason = "package.untrusted",
               .value = to_hex(metadata.signature_info.thumbprint),
               .next = "sign it with a trusted key: sphere image-package sign"});
}

bool is_named(const TrustEntry& entry, const crypto::Sha1Digest& thumbprint) {
  return std::ranges::find(entry.thumbprints, thumbprint) != entry.thumbprints.end();
}

}  // namespace

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

Result<Verified<Package>> verify(Package package, const TrustStore& trust) {
  const auto digest = signed_digest(package);
  const auto signature = package.metadata.signature.first<crypto::kSignatureSize>();
  const auto& thumbprint = package.metadata.signature_info.thumbprint;
  bool named = false;
  // The thumbprint orders the attempts and words the error; the key alone decides.
  for (const bool named_first : {true, false}) {
    for (const auto& entry : trust.entries()) {
      if (is_named(entry, thumbprint) != named_first) {
        continue;
      }
      if (entry.key.verify(digest, signature)) {
        return Verified<Package>{std::move(package), entry};
      }
      named = named || named_first;
    }
  }
  if (named) {
    return untrusted("the package is damaged: its signature does not match the key it names",
                     package.metadata);
  }
  return untrusted("no trusted key has signed the package", package.metadata);
}

}  // namespace sphere::image
