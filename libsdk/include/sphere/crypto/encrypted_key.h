// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "sphere/core/result.h"
#include "sphere/crypto/key.h"
#include "sphere/crypto/secret.h"
#include "sphere/crypto/secret_source.h"

// Private keys under a passphrase: PEM "ENCRYPTED PRIVATE KEY", which is PKCS#8 with PBES2 (RFC
// 5958, RFC 8018). Written with scrypt (RFC 7914; N = 16384, r = 8, p = 5, a salt of 16 bytes) and
// AES-256-CBC, which the openssl command reads. Read with scrypt or PBKDF2 (HMAC with SHA-1 to
// SHA-512) and AES-CBC. The file says how much work the derivation is; more than 10,000,000 rounds
// of PBKDF2, 64 MiB of scrypt, or 1 GiB of scrypt blocks over all p is refused before it begins.
namespace sphere::crypto {

inline constexpr std::size_t kMaxPassphrase = 1024;  // Bytes.

// Whether the first private key of the text is encrypted.
[[nodiscard]] bool is_encrypted_key(std::string_view pem);

// The block of that key as it stands there, to be kept verbatim; nothing when it is plain. Points
// into `pem`.
[[nodiscard]] std::optional<std::string_view> encrypted_key_block(std::string_view pem);

// Errors: unverified (key.locked) for a wrong passphrase, which cannot be told from a damaged key;
// corrupt; too_large for a derivation that costs too much; unsupported (another scheme, key type).
[[nodiscard]] Result<PrivateKey> decrypt_key(std::string_view pem, const Secret& passphrase);

// PEM text. Errors: invalid_argument for a passphrase that is empty or longer than kMaxPassphrase.
[[nodiscard]] Result<Secret> encrypt_key(const PrivateKey& key, const Secret& passphrase);

// The private key of a PEM text, encrypted or not; `what` names it when `secrets` is asked, up to
// secrets->attempts() times. Errors: those of PrivateKey::from_pem(), decrypt_key() and
// SecretSource; key.locked when it is encrypted and `secrets` is null.
[[nodiscard]] Result<PrivateKey> read_private_key(std::string_view pem, std::string_view what,
                                                  SecretSource* secrets);

}  // namespace sphere::crypto
