// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sphere/core/result.h"
#include "sphere/crypto/key.h"
#include "sphere/image/package.h"

namespace sphere::image {

// What a key may sign.
enum class Role : std::uint8_t {
  production,   // Applications, for the fleet.
  development,  // Applications, while they are developed.
  capability,
  board_configuration,
  os,           // Images of the device's own software: every type that no other role has.
  trust_store,  // Image type 19.
};

// "production", "development", "capability", "board-configuration", "os", "trust-store".
[[nodiscard]] std::string_view role_name(Role role);

// Whether keys of `role` may sign images of `image_type` (see metadata.h).
[[nodiscard]] bool may_sign(Role role, std::uint16_t image_type);

struct TrustEntry {
  crypto::PublicKey key;
  std::vector<crypto::Sha1Digest> thumbprints;  // Look-up hints, never evidence.
  Role role = Role::development;
  std::string label = {};
};

// Whether the private half of `key` is printed in the documentation of the format, for its test
// vectors: anybody can sign with it.
[[nodiscard]] bool is_published_key(const crypto::PublicKey& key);

// The keys an image may be signed with.
class TrustStore {
 public:
  TrustStore() = default;
  // One that takes the published key, too. For the tests of the format, nothing else.
  [[nodiscard]] static TrustStore for_test_vectors();

  // A published key is never in a store: it is left out. Who reads keys from somewhere says so
  // before (see is_published_key()).
  void add(TrustEntry entry);
  [[nodiscard]] const std::vector<TrustEntry>& entries() const noexcept { return entries_; }

 private:
  std::vector<TrustEntry> entries_;
  bool takes_published_key_ = false;
};

// The public half of the Azure Sphere SDK's test key. Its private half is public too: a good
// signature shows that a file is not damaged and nothing about who made it. In no trust store
// unless somebody adds it on purpose.
[[nodiscard]] const crypto::PublicKey& public_test_key();
[[nodiscard]] const crypto::Sha1Digest& public_test_thumbprint();

// A value that only a verification can make.
template <typename T>
class Verified {
 public:
  [[nodiscard]] const T& operator*() const noexcept { return value_; }
  [[nodiscard]] const T* operator->() const noexcept { return &value_; }
  [[nodiscard]] const TrustEntry& signer() const noexcept { return signer_; }

 private:
  friend Result<Verified<Package>> verify(Package package, const TrustStore& trust);
  Verified(T value, TrustEntry signer) : value_{std::move(value)}, signer_{std::move(signer)} {}
  T value_;
  TrustEntry signer_;
};

// Checks a package against the keys of `trust`. Of package v2, see verify_v2.h: signature,
// superblock and directories; the body is proven as it is read. Of every other kind, reading its
// file once: the signature, by a key whose role may sign its image type, and all that check_body()
// checks. Of a production package both signatures, which must be by one key, and the whole package
// inside, which is then there as `inner`. What was parsed by
// open_package() is what is verified; the rest of the source must not change afterwards. Still to
// be checked by the caller: the kind and image type, the manifest against the board, rollback,
// space.
//
// Errors: unverified (package.untrusted; the message tells whether the signature is damaged, no key
// of the store made it, or one made it that is for another use), corrupt, unsupported for what
// cannot be verified here, io when the source changed meanwhile, those of the source.
[[nodiscard]] Result<Verified<Package>> verify(Package package, const TrustStore& trust);

}  // namespace sphere::image
