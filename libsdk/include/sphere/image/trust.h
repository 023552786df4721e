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

enum class Role : std::uint8_t { production, development };

struct TrustEntry {
  crypto::PublicKey key;
  std::vector<crypto::Sha1Digest> thumbprints;  // Look-up hints, never evidence.
  Role role = Role::development;
  std::string label = {};
};

// The keys an image may be signed with.
class TrustStore {
 public:
  void add(TrustEntry entry) { entries_.push_back(std::move(entry)); }
  [[nodiscard]] const std::vector<TrustEntry>& entries() const noexcept { return entries_; }

 private:
  std::vector<TrustEntry> entries_;
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

// Checks the signature of an application package against the keys of `trust`. All checks of
// parse_package() have been made. Still to be checked by the caller: the manifest against the
// board, rollback, space. Errors: unverified (package.untrusted; the message tells whether the
// signature is damaged, or no key of the store made it).
[[nodiscard]] Result<Verified<Package>> verify(Package package, const TrustStore& trust);

}  // namespace sphere::image
