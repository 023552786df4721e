// SPDX-License-Identifier: MIT
#include "sphere/crypto/signer.h"

#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "sphere/core/result.h"
#include "sphere/crypto/certificate.h"
#include "sphere/crypto/digest.h"
#include "sphere/crypto/key.h"

namespace sphere::crypto {

KeySigner::KeySigner(PrivateKey key, std::optional<Certificate> certificate)
    : key_{std::move(key)}, public_key_{key_.public_key()}, certificate_{std::move(certificate)} {}

Sha1Digest KeySigner::thumbprint() const {
  return certificate_ ? certificate_->thumbprint() : sha1(public_key_.spki());
}

Result<std::vector<Signature>> KeySigner::sign(std::span<const Sha256Digest> digests) const {
  std::vector<Signature> signatures;
  signatures.reserve(digests.size());
  for (const auto& digest : digests) {
    SPHERE_TRY_ASSIGN(signatures.emplace_back(), key_.sign(digest));
  }
  return signatures;
}

}  // namespace sphere::crypto
