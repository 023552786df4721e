// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "sphere/core/result.h"
#include "sphere/crypto/certificate.h"
#include "sphere/crypto/digest.h"
#include "sphere/crypto/key.h"

namespace sphere::crypto {

// Signs image digests. Only 32-byte digests leave the caller, so a token or a service behind this
// interface never sees an image. Implementations may be used from several threads at once.
class Signer {
 public:
  virtual ~Signer() = default;

  [[nodiscard]] virtual const PublicKey& public_key() const = 0;
  // What goes into a package's SG section: SHA-1 of the certificate (DER), or of the
  // SubjectPublicKeyInfo for a key without one.
  [[nodiscard]] virtual Sha1Digest thumbprint() const = 0;
  // One signature for each digest, in order. All or an error.
  [[nodiscard]] virtual Result<std::vector<Signature>> sign(
      std::span<const Sha256Digest> digests) const = 0;
};

// A Signer over a key in memory.
class KeySigner final : public Signer {
 public:
  KeySigner(PrivateKey key, std::optional<Certificate> certificate);
  [[nodiscard]] const PublicKey& public_key() const override { return public_key_; }
  [[nodiscard]] Sha1Digest thumbprint() const override;
  [[nodiscard]] Result<std::vector<Signature>> sign(
      std::span<const Sha256Digest> digests) const override;

 private:
  PrivateKey key_;
  PublicKey public_key_;
  std::optional<Certificate> certificate_;
};

}  // namespace sphere::crypto
