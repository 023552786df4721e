// SPDX-License-Identifier: MIT
#include "sphere/crypto/digest.h"

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <span>
#include <sys/random.h>

#include <openssl/evp.h>

#include "libsdk/src/crypto/openssl.h"
#include "sphere/crypto/library.h"

namespace sphere::crypto {
namespace {

// Fetched once a process: fetching it for each hash costs more than hashing 64 bytes.
const EVP_MD* sha256_method() {
  static const EVP_MD* const method = [] {
    initialise_library();
    return EVP_MD_fetch(nullptr, "SHA2-256", nullptr);
  }();
  return method;
}

const EVP_MD* sha1_method() {
  static const EVP_MD* const method = [] {
    initialise_library();
    return EVP_MD_fetch(nullptr, "SHA1", nullptr);
  }();
  return method;
}

const EVP_MD* md5_method() {
  static const EVP_MD* const method = [] {
    initialise_library();
    return EVP_MD_fetch(nullptr, "MD5", nullptr);
  }();
  return method;
}

// A digest over memory fails only when OpenSSL cannot allocate or was built without the algorithm.
void require(bool good) {
  if (!good) {
    std::abort();
  }
}

template <typename Digest>
Digest digest_of(const EVP_MD* method, std::span<const std::byte> bytes) {
  Digest result = {};
  require(method != nullptr && EVP_Digest(bytes.data(), bytes.size(), as_uchar(result.data()),
                                          nullptr, method, nullptr) == 1);
  return result;
}

}  // namespace

Sha256Digest sha256(std::span<const std::byte> bytes) {
  return digest_of<Sha256Digest>(sha256_method(), bytes);
}

Sha1Digest sha1(std::span<const std::byte> bytes) {
  return digest_of<Sha1Digest>(sha1_method(), bytes);
}

Md5Digest md5(std::span<const std::byte> bytes) {
  return digest_of<Md5Digest>(md5_method(), bytes);
}

struct Sha256::State {
  std::unique_ptr<EVP_MD_CTX, Free<EVP_MD_CTX_free>> context{EVP_MD_CTX_new()};
};

Sha256::Sha256() : state_{std::make_unique<State>()} {
  require(state_->context != nullptr &&
          EVP_DigestInit_ex2(state_->context.get(), sha256_method(), nullptr) == 1);
}

Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;
Sha256::~Sha256() = default;

Sha256& Sha256::update(std::span<const std::byte> bytes) {
  require(EVP_DigestUpdate(state_->context.get(), bytes.data(), bytes.size()) == 1);
  return *this;
}

Sha256Digest Sha256::digest_so_far() const {
  Sha256 copy;
  require(EVP_MD_CTX_copy_ex(copy.state_->context.get(), state_->context.get()) == 1);
  return copy.finish();
}

Sha256Digest Sha256::finish() {
  Sha256Digest result = {};
  require(EVP_DigestFinal_ex(state_->context.get(), as_uchar(result.data()), nullptr) == 1);
  return result;
}

void random_bytes(std::span<std::byte> bytes) {
  while (!bytes.empty()) {
    const auto count = ::getrandom(bytes.data(), bytes.size(), 0);
    // The kernel's generator answers whatever happens, once it has been seeded at boot.
    require(count > 0 || errno == EINTR);
    if (count > 0) {
      bytes = bytes.subspan(static_cast<std::size_t>(count));
    }
  }
}

}  // namespace sphere::crypto
