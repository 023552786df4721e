// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sphere/core/result.h"
#include "sphere/crypto/digest.h"
#include "sphere/crypto/key.h"

namespace sphere::crypto {

// An X.509 certificate over a P-256 key. Parsing proves nothing about its issuer.
class Certificate {
 public:
  // Errors: corrupt; unsupported (key of another algorithm or curve).
  [[nodiscard]] static Result<Certificate> from_pem(
      std::string_view pem);  // The first in the text.
  [[nodiscard]] static Result<Certificate> from_der(std::span<const std::byte> der);

  [[nodiscard]] const std::vector<std::byte>& der() const noexcept { return der_; }
  [[nodiscard]] std::string pem() const;
  [[nodiscard]] Sha1Digest thumbprint() const { return sha1(der_); }
  [[nodiscard]] const PublicKey& public_key() const noexcept { return key_; }
  [[nodiscard]] std::string subject() const;  // RFC 2253, for display.
  // Unix seconds; 0 when the certificate holds no valid time.
  [[nodiscard]] std::int64_t not_before() const;
  [[nodiscard]] std::int64_t not_after() const;

 private:
  Certificate(std::vector<std::byte> der, PublicKey key)
      : der_{std::move(der)}, key_{std::move(key)} {}
  std::vector<std::byte> der_;
  PublicKey key_;
};

struct CertificateRequest {
  std::string common_name = {};
  std::int64_t not_before = 0;  // Unix seconds.
  std::int64_t not_after = 0;
  bool is_ca = false;
  bool server_auth = false;                    // EKU serverAuth.
  std::vector<std::string> dns_names = {};     // SAN; may start with "*.".
  std::vector<std::string> ip_addresses = {};  // SAN, text form.
};

// Makes a certificate for `subject_key`, signed with ecdsa-with-SHA256 by `issuer_key` in the name
// of `issuer` (nullptr: self-signed, then issuer_key must be subject_key's private half). Random
// 127-bit serial number.
[[nodiscard]] Result<Certificate> make_certificate(const CertificateRequest& request,
                                                   const PublicKey& subject_key,
                                                   const PrivateKey& issuer_key,
                                                   const Certificate* issuer = nullptr);

}  // namespace sphere::crypto
