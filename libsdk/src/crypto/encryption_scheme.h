// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <variant>

#include "sphere/core/result.h"
#include "sphere/crypto/key.h"
#include "sphere/crypto/secret.h"

namespace sphere::crypto {

struct Pbkdf2 {
  std::span<const std::byte> salt;
  std::uint64_t rounds = 0;
  std::string_view digest;  // OpenSSL's name.
};

struct Scrypt {
  std::span<const std::byte> salt;
  std::uint64_t n = 0;
  std::uint64_t r = 0;
  std::uint64_t p = 0;
};

inline constexpr std::uint64_t kMaxPbkdf2Rounds = 10'000'000;
inline constexpr std::uint64_t kMaxScryptMemory = std::uint64_t{64} << 20U;  // 128 * n * r
inline constexpr std::uint64_t kMaxScryptWork = std::uint64_t{1} << 30U;     // 128 * n * r * p
inline constexpr std::size_t kAesBlock = 16;

// An EncryptedPrivateKeyInfo within the limits of encrypted_key.h; spans point into the input.
struct EncryptedKey {
  std::variant<Pbkdf2, Scrypt> derivation;
  std::string_view cipher;  // OpenSSL's name.
  std::size_t key_size = 0;
  std::span<const std::byte> iv;    // kAesBlock bytes.
  std::span<const std::byte> data;  // Whole blocks, at least one.
};

// Errors: corrupt, unsupported, too_large.
[[nodiscard]] Result<EncryptedKey> read_encrypted_key(std::span<const std::byte> der);

// The private key inside. Errors: as decrypt_key().
[[nodiscard]] Result<PrivateKey> decrypt_encrypted_key(const EncryptedKey& key,
                                                       const Secret& passphrase);

}  // namespace sphere::crypto
