// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "sphere/core/guid.h"
#include "sphere/core/result.h"
#include "sphere/image/trust_image.h"

namespace sphere::agent {

// The largest trust-store package: record, hash area, metadata, signature.
inline constexpr std::size_t kTrustPackageLimit = std::size_t{192} * 1024;

// A trust store that came by image.
struct StoredTrust {
  image::TrustRecord record;
  Guid image;
  std::uint64_t bytes = 0;  // Of its package.
};

// The trust stores that came by image: the one in force, and the one it replaced.
//
//   a, b         their packages
//   record.json  which of the two is in force, its version, and the SHA-256 of each
//   staged       one that waits for install()
//
// The rename of record.json is the only point at which anything changes: a board that loses power
// at any instant has the old store or the new one. What the record says of a package is checked at
// each use. Whatever is damaged is an error and never the absence of a store.
class TrustSlots {
 public:
  explicit TrustSlots(std::filesystem::path directory) : directory_{std::move(directory)} {}

  // The store in force; nothing when none came by image. Errors: corrupt, as system_error().
  [[nodiscard]] Result<std::optional<StoredTrust>> active() const;
  // The store before it; nothing when there was none. Errors: the same.
  [[nodiscard]] Result<std::optional<StoredTrust>> previous() const;
  // Of the store in force, also when its package is damaged; 0 when none came by image. Errors:
  // those of the record.
  [[nodiscard]] Result<std::uint32_t> version() const;

  // Puts a store into force whose package and right to replace the present one have been checked.
  // It is on stable storage when this returns. Errors: those of the record, as system_error(); the
  // old store is in force then.
  [[nodiscard]] Result<void> install(std::span<const std::byte> package, std::uint32_t version);

  [[nodiscard]] std::filesystem::path staged() const { return directory_ / "staged"; }
  [[nodiscard]] Result<void> stage(std::span<const std::byte> package);
  void drop_staged() const;

 private:
  struct Record {
    char active = 'a';
    std::uint32_t version = 0;
    std::string digest = {};           // Of the package in force, hexadecimal.
    std::string previous_digest = {};  // Empty: there is none.
  };
  [[nodiscard]] Result<std::optional<Record>> load() const;
  [[nodiscard]] Result<StoredTrust> open(char slot, const std::string& digest) const;
  [[nodiscard]] std::filesystem::path slot_path(char slot) const;

  std::filesystem::path directory_;
};

}  // namespace sphere::agent
