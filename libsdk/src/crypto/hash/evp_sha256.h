// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <span>

#include <openssl/evp.h>

#include "libsdk/src/crypto/openssl.h"
#include "sphere/crypto/digest.h"

namespace sphere::crypto {

// SHA-256 by OpenSSL: the `evp` row, and the reference that every other row is tested against. The
// digest is fetched once, because a fetch costs more than hashing 64 bytes.
class EvpSha256 {
 public:
  EvpSha256();

  // A context of one thread, reused from message to message.
  class Context {
   public:
    void start();
    void update(std::span<const std::byte> bytes);
    [[nodiscard]] Sha256Digest finish();

   private:
    friend class EvpSha256;
    explicit Context(const EVP_MD* digest);
    const EVP_MD* digest_;
    std::unique_ptr<EVP_MD_CTX, Free<EVP_MD_CTX_free>> context_;
  };
  [[nodiscard]] Context context() const { return Context{digest_.get()}; }

 private:
  std::unique_ptr<EVP_MD, Free<EVP_MD_free>> digest_;
};

}  // namespace sphere::crypto
