// SPDX-License-Identifier: MIT
#include "sphere/crypto/credential.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <tl/expected.hpp>

#include "libsdk/src/crypto/openssl.h"
#include "sphere/core/result.h"
#include "sphere/crypto/digest.h"
#include "sphere/crypto/library.h"
#include "sphere/crypto/secret.h"

namespace sphere::crypto {
namespace {

BioPtr memory_of(std::string_view text) {
  return BioPtr{BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))};
}

X509Ptr read_certificate(std::string_view pem) {
  initialise_library();
  const auto memory = memory_of(pem);
  X509Ptr certificate{memory ? PEM_read_bio_X509(memory.get(), nullptr, nullptr, nullptr)
                             : nullptr};
  ERR_clear_error();
  return certificate;
}

std::string one_line(const X509_NAME* name) {
  char* const text = X509_NAME_oneline(name, nullptr, 0);
  if (text == nullptr) {
    ERR_clear_error();
    return {};
  }
  std::string copy{text};
  OPENSSL_free(text);
  return copy;
}

struct PasswordAsked {
  std::string_view password;
  bool asked = false;
};

int give_password(char* buffer, int size, int /*writing*/, void* user) {
  auto& asked = *static_cast<PasswordAsked*>(user);
  asked.asked = true;
  if (asked.password.empty() || asked.password.size() > static_cast<std::size_t>(size)) {
    return -1;
  }
  std::ranges::copy(asked.password, buffer);
  return static_cast<int>(asked.password.size());
}

Secret to_pem(EVP_PKEY* key) {
  const BioPtr memory{BIO_new(BIO_s_secmem())};
  if (!memory || PEM_write_bio_PKCS8PrivateKey(memory.get(), key, nullptr, nullptr, 0, nullptr,
                                               nullptr) != 1) {
    ERR_clear_error();
    return {};
  }
  char* text = nullptr;
  const long size = BIO_get_mem_data(memory.get(), &text);  // NOLINT: OpenSSL's macro casts.
  const auto bytes = std::as_bytes(std::span{text, static_cast<std::size_t>(size)});
  return Secret{std::vector<std::byte>{bytes.begin(), bytes.end()}};
}

}  // namespace

Result<CertificateFacts> describe_certificate(std::string_view pem) {
  const auto certificate = read_certificate(pem);
  unsigned char* spki = nullptr;
  const int size =
      certificate ? i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate.get()), &spki) : 0;
  if (size <= 0) {
    ERR_clear_error();
    return fail(Errc::corrupt, "no certificate in PEM form", {.reason = "key.refused"});
  }
  CertificateFacts facts{.subject = one_line(X509_get_subject_name(certificate.get())),
                         .issuer = one_line(X509_get_issuer_name(certificate.get())),
                         .not_before = to_unix(X509_get0_notBefore(certificate.get())),
                         .not_after = to_unix(X509_get0_notAfter(certificate.get())),
                         .spki_sha256 = sha256(as_byte_span(spki, static_cast<std::size_t>(size)))};
  OPENSSL_free(spki);
  return facts;
}

OpenedKey open_credential_key(std::string_view certificate_pem, std::string_view key_pem,
                              std::string_view password) {
  const auto certificate = read_certificate(certificate_pem);
  const auto memory = memory_of(key_pem);
  PasswordAsked asked{.password = password};
  const PkeyPtr key{memory ? PEM_read_bio_PrivateKey(memory.get(), nullptr, give_password, &asked)
                           : nullptr};
  ERR_clear_error();
  if (!key) {
    return {.fault =
                asked.asked && password.empty() ? KeyFault::password_missing : KeyFault::not_a_key};
  }
  if (!asked.asked && !password.empty()) {
    return {.fault = KeyFault::password_unneeded};
  }
  if (!certificate || X509_check_private_key(certificate.get(), key.get()) != 1) {
    ERR_clear_error();
    return {.fault = KeyFault::mismatch};
  }
  OpenedKey opened{.pem = to_pem(key.get())};
  opened.fault = opened.pem.bytes().empty() ? KeyFault::not_a_key : KeyFault::none;
  return opened;
}

}  // namespace sphere::crypto
