// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "sphere/core/result.h"
#include "sphere/crypto/secret.h"

namespace sphere::crypto {

// Keeps secrets in files that are worth nothing without the key: AES-256-GCM.
//
//   sealed   0   12  random nonce
//           12   16  tag
//           28       ciphertext, as long as the plain bytes
//
// `purpose` names what the bytes are for; open() with another purpose fails, so that one sealed
// value cannot be put in the place of another.
class SealingKey {
 public:
  static constexpr std::size_t kSize = 32;
  static constexpr std::size_t kOverhead = 28;

  // Reads the key file (32 bytes, mode 0600), or makes it. Errors: permission when the group or
  // others may read it, corrupt (another size), and those of system_error().
  [[nodiscard]] static Result<SealingKey> load_or_create(const std::filesystem::path& path);

  [[nodiscard]] Result<std::vector<std::byte>> seal(std::span<const std::byte> plain,
                                                    std::string_view purpose) const;
  // Error: unverified (changed, another key or another purpose).
  [[nodiscard]] Result<Secret> open(std::span<const std::byte> sealed,
                                    std::string_view purpose) const;

 private:
  explicit SealingKey(Secret key) : key_{std::move(key)} {}
  Secret key_;
};

}  // namespace sphere::crypto
