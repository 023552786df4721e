// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "sphere/core/result.h"
#include "sphere/crypto/digest.h"
#include "sphere/crypto/secret.h"

// Certificates and keys of a user's own network, of any algorithm that OpenSSL knows: what a board
// keeps for EAP-TLS and for apps. (Certificates of our own signatures are crypto::Certificate.)
namespace sphere::crypto {

struct CertificateFacts {
  std::string subject, issuer;                 // OpenSSL's one-line form: "/C=DE/CN=Example".
  std::int64_t not_before = 0, not_after = 0;  // Unix seconds.
  Sha256Digest spki_sha256 = {};               // Of the SubjectPublicKeyInfo in DER.
};

// The first certificate of a PEM text. Proves nothing about it. Errors: corrupt.
[[nodiscard]] Result<CertificateFacts> describe_certificate(std::string_view pem);

// What is wrong with the private key of a credential.
enum class KeyFault : std::uint8_t {
  none,
  not_a_key,          // No PEM of a private key, or its password does not open it.
  password_missing,   // Encrypted, and no password was given.
  password_unneeded,  // A password was given for a key that is not encrypted.
  mismatch,           // Not the private half of the certificate's key.
};

struct OpenedKey {
  KeyFault fault = KeyFault::none;
  Secret pem = {};  // The key without encryption, PKCS#8; empty with a fault.
};

// Opens the first private key of `key_pem` with `password` (empty: none) and checks that it belongs
// to the first certificate of `certificate_pem`, which describe_certificate() has accepted.
[[nodiscard]] OpenedKey open_credential_key(std::string_view certificate_pem,
                                            std::string_view key_pem, std::string_view password);

}  // namespace sphere::crypto
