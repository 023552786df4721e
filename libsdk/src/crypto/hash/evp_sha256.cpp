// SPDX-License-Identifier: MIT
#include "libsdk/src/crypto/hash/evp_sha256.h"

#include <cstddef>
#include <cstdlib>
#include <span>

#include <openssl/evp.h>

#include "libsdk/src/crypto/openssl.h"
#include "sphere/crypto/digest.h"
#include "sphere/crypto/library.h"

namespace sphere::crypto {
namespace {

// Without SHA-256 or memory for a context there is nothing to go on with, and no digest to return.
void require(bool ok) {
  if (!ok) {
    std::abort();
  }
}

}  // namespace

EvpSha256::EvpSha256() {
  initialise_library();
  digest_.reset(EVP_MD_fetch(nullptr, "SHA2-256", nullptr));
  require(digest_ != nullptr);
}

EvpSha256::Context::Context(const EVP_MD* digest) : digest_{digest}, context_{EVP_MD_CTX_new()} {
  require(context_ != nullptr);
}

void EvpSha256::Context::start() {
  require(EVP_DigestInit_ex2(context_.get(), digest_, nullptr) == 1);
}

void EvpSha256::Context::update(std::span<const std::byte> bytes) {
  require(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1);
}

Sha256Digest EvpSha256::Context::finish() {
  Sha256Digest digest = {};
  require(EVP_DigestFinal_ex(context_.get(), as_uchar(digest.data()), nullptr) == 1);
  return digest;
}

}  // namespace sphere::crypto
