// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "sphere/core/result.h"
#include "sphere/crypto/key.h"

namespace sphere::crypto {

// Frees an OpenSSL object with its own function.
template <auto kFree>
struct Free {
  template <typename T>
  void operator()(T* object) const noexcept {
    kFree(object);
  }
};

using PkeyPtr = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;
using PkeyContextPtr = std::unique_ptr<EVP_PKEY_CTX, Free<EVP_PKEY_CTX_free>>;
using BigNumberPtr = std::unique_ptr<BIGNUM, Free<BN_clear_free>>;
using SignaturePtr = std::unique_ptr<ECDSA_SIG, Free<ECDSA_SIG_free>>;
using BioPtr = std::unique_ptr<BIO, Free<BIO_free_all>>;
using X509Ptr = std::unique_ptr<X509, Free<X509_free>>;

constexpr std::size_t kScalarSize = 32;
constexpr std::size_t kPointSize = 65;  // 04 | x | y

struct PublicKey::Handle {
  PkeyPtr pkey;
};

struct PrivateKey::Handle {
  PkeyPtr pkey;
  std::array<std::byte, kPointSize> point = {};
};

// Our view of bytes and OpenSSL's.
inline const unsigned char* as_uchar(const std::byte* bytes) {
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): std::byte and unsigned char alias.
  return reinterpret_cast<const unsigned char*>(bytes);
}
inline unsigned char* as_uchar(std::byte* bytes) {
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): std::byte and unsigned char alias.
  return reinterpret_cast<unsigned char*>(bytes);
}
inline std::span<const std::byte> as_byte_span(const unsigned char* bytes, std::size_t size) {
  return std::as_bytes(std::span{bytes, size});
}

// The error of an OpenSSL call that should not fail: "cannot `action`: <OpenSSL's reason>". Empties
// OpenSSL's error queue of this thread.
[[nodiscard]] Error openssl_error(std::string_view action);

// Seconds since 1970 of a certificate's time; 0 for none. Unlike timegm() it reads no time zone.
[[nodiscard]] std::int64_t to_unix(const ASN1_TIME* time);

// The SubjectPublicKeyInfo of a point, 91 bytes.
[[nodiscard]] std::vector<std::byte> spki_of(std::span<const std::byte, kPointSize> point);

// A P-256 key from its point and, for a private key, its scalar (empty: public). Nothing when the
// point is not on the curve.
[[nodiscard]] PkeyPtr make_pkey(std::span<const std::byte, kPointSize> point,
                                std::span<const std::byte> scalar);

}  // namespace sphere::crypto
