// SPDX-License-Identifier: MIT
#include "sphere/crypto/certificate.h"

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <tl/expected.hpp>

#include "libsdk/src/crypto/openssl.h"
#include "libsdk/src/crypto/pem.h"
#include "sphere/core/encoding.h"
#include "sphere/core/result.h"
#include "sphere/crypto/key.h"
#include "sphere/crypto/library.h"

namespace sphere::crypto {
namespace {

X509Ptr parse(std::span<const std::byte> der) {
  initialise_library();
  const unsigned char* begin = as_uchar(der.data());
  X509Ptr certificate{d2i_X509(nullptr, &begin, static_cast<long>(der.size()))};
  ERR_clear_error();
  // d2i_X509 moves `begin` behind what it has read.
  const auto read = begin - as_uchar(der.data());
  return read == std::ssize(der) ? std::move(certificate) : nullptr;
}

tl::unexpected<Error> malformed() {
  return fail(Errc::corrupt, "malformed certificate", {.reason = "key.refused"});
}

}  // namespace

Result<Certificate> Certificate::from_der(std::span<const std::byte> der) {
  const auto certificate = parse(der);
  if (!certificate) {
    return malformed();
  }
  unsigned char* spki = nullptr;
  const int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate.get()), &spki);
  if (size <= 0) {
    ERR_clear_error();
    return malformed();
  }
  auto key = PublicKey::from_spki(as_byte_span(spki, static_cast<std::size_t>(size)));
  OPENSSL_free(spki);
  if (!key) {
    return tl::make_unexpected(std::move(key).error());
  }
  return Certificate{{der.begin(), der.end()}, *std::move(key)};
}

Result<Certificate> Certificate::from_pem(std::string_view pem) {
  for (auto block = next_pem_block(pem); block; block = next_pem_block(block->rest)) {
    if (block->label == "CERTIFICATE") {
      return block->der ? from_der(block->der->bytes()) : malformed();
    }
  }
  return fail(Errc::corrupt, "no certificate in the text", {.reason = "key.refused"});
}

std::string Certificate::pem() const {
  constexpr std::size_t kLine = 64;  // RFC 7468 section 2.
  const auto base64 = to_base64(der_);
  std::string text = "-----BEGIN CERTIFICATE-----\n";
  for (std::size_t at = 0; at < base64.size(); at += kLine) {
    text.append(base64, at, kLine).push_back('\n');
  }
  return text + "-----END CERTIFICATE-----\n";
}

std::string Certificate::subject() const {
  const auto certificate = parse(der_);
  const BioPtr memory{BIO_new(BIO_s_mem())};
  if (!certificate || !memory ||
      X509_NAME_print_ex(memory.get(), X509_get_subject_name(certificate.get()), 0,
                         XN_FLAG_RFC2253) < 0) {
    ERR_clear_error();
    return {};
  }
  char* text = nullptr;
  const long size = BIO_get_mem_data(memory.get(), &text);  // NOLINT: OpenSSL's macro casts.
  return {text, static_cast<std::size_t>(size)};
}

std::int64_t Certificate::not_before() const {
  const auto certificate = parse(der_);
  return certificate ? to_unix(X509_get0_notBefore(certificate.get())) : 0;
}

std::int64_t Certificate::not_after() const {
  const auto certificate = parse(der_);
  return certificate ? to_unix(X509_get0_notAfter(certificate.get())) : 0;
}

}  // namespace sphere::crypto
