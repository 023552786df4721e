// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <openssl/asn1.h>
#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <tl/expected.hpp>

#include "libsdk/src/crypto/openssl.h"
#include "sphere/core/result.h"
#include "sphere/crypto/certificate.h"
#include "sphere/crypto/digest.h"
#include "sphere/crypto/key.h"
#include "sphere/crypto/library.h"

namespace sphere::crypto {
namespace {

using GeneralNamesPtr = std::unique_ptr<GENERAL_NAMES, Free<GENERAL_NAMES_free>>;
using GeneralNamePtr = std::unique_ptr<GENERAL_NAME, Free<GENERAL_NAME_free>>;
using BitStringPtr = std::unique_ptr<ASN1_BIT_STRING, Free<ASN1_BIT_STRING_free>>;
using OctetStringPtr = std::unique_ptr<ASN1_OCTET_STRING, Free<ASN1_OCTET_STRING_free>>;

constexpr std::size_t kMaxCommonName = 64;  // X.520 ub-common-name.

bool is_dns_name(std::string_view name) {
  if (name.starts_with("*.")) {
    name.remove_prefix(2);
  }
  return !name.empty() && name.size() <= 253 && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_';
  });
}

bool push_name(GENERAL_NAMES* names, int type, void* value) {
  GeneralNamePtr name{GENERAL_NAME_new()};
  if (!name || value == nullptr) {
    return false;
  }
  GENERAL_NAME_set0_value(name.get(), type, value);
  if (sk_GENERAL_NAME_push(names, name.get()) <= 0) {
    return false;
  }
  // NOLINTNEXTLINE(bugprone-unused-return-value): owned by `names` now.
  static_cast<void>(name.release());
  return true;
}

Result<void> add_alternative_names(X509* certificate, const CertificateRequest& request) {
  if (request.dns_names.empty() && request.ip_addresses.empty()) {
    return {};
  }
  const GeneralNamesPtr names{sk_GENERAL_NAME_new_null()};
  for (const auto& name : request.dns_names) {
    if (!is_dns_name(name)) {
      return fail(Errc::invalid_argument, fmt::format("\"{}\" is not a DNS name", name),
                  {.value = name});
    }
    ASN1_IA5STRING* text = ASN1_IA5STRING_new();
    if (ASN1_STRING_set(text, name.data(), static_cast<int>(name.size())) != 1 ||
        !push_name(names.get(), GEN_DNS, text)) {
      return tl::make_unexpected(openssl_error("make a certificate"));
    }
  }
  for (const auto& address : request.ip_addresses) {
    ASN1_OCTET_STRING* bytes = a2i_IPADDRESS(address.c_str());
    if (bytes == nullptr) {
      return fail(Errc::invalid_argument, fmt::format("\"{}\" is not an IP address", address),
                  {.value = address});
    }
    if (!push_name(names.get(), GEN_IPADD, bytes)) {
      return tl::make_unexpected(openssl_error("make a certificate"));
    }
  }
  if (X509_add1_ext_i2d(certificate, NID_subject_alt_name, names.get(), 0, X509V3_ADD_DEFAULT) !=
      1) {
    return tl::make_unexpected(openssl_error("make a certificate"));
  }
  return {};
}

bool add_basic_constraints(X509* certificate, bool is_ca) {
  const std::unique_ptr<BASIC_CONSTRAINTS, Free<BASIC_CONSTRAINTS_free>> constraints{
      BASIC_CONSTRAINTS_new()};
  if (!constraints) {
    return false;
  }
  constraints->ca = is_ca ? 0xFF : 0;
  return X509_add1_ext_i2d(certificate, NID_basic_constraints, constraints.get(), 1,
                           X509V3_ADD_DEFAULT) == 1;
}

bool add_key_usage(X509* certificate, bool is_ca) {
  const BitStringPtr usage{ASN1_BIT_STRING_new()};
  // Bits of RFC 5280 4.2.1.3: 0 digitalSignature, 5 keyCertSign, 6 cRLSign.
  const bool good = usage != nullptr && (is_ca ? ASN1_BIT_STRING_set_bit(usage.get(), 5, 1) == 1 &&
                                                     ASN1_BIT_STRING_set_bit(usage.get(), 6, 1) == 1
                                               : ASN1_BIT_STRING_set_bit(usage.get(), 0, 1) == 1);
  return good &&
         X509_add1_ext_i2d(certificate, NID_key_usage, usage.get(), 1, X509V3_ADD_DEFAULT) == 1;
}

bool add_server_auth(X509* certificate) {
  const std::unique_ptr<EXTENDED_KEY_USAGE, Free<EXTENDED_KEY_USAGE_free>> usage{
      EXTENDED_KEY_USAGE_new()};
  return usage != nullptr && sk_ASN1_OBJECT_push(usage.get(), OBJ_nid2obj(NID_server_auth)) > 0 &&
         X509_add1_ext_i2d(certificate, NID_ext_key_usage, usage.get(), 0, X509V3_ADD_DEFAULT) == 1;
}

// Method 1 of RFC 5280 4.2.1.2: SHA-1 of the public key's bits, the point.
OctetStringPtr key_identifier(const PublicKey& key) {
  const auto digest = sha1(std::span{key.spki()}.last(kPointSize));
  OctetStringPtr bytes{ASN1_OCTET_STRING_new()};
  if (bytes && ASN1_OCTET_STRING_set(bytes.get(), as_uchar(digest.data()),
                                     static_cast<int>(digest.size())) != 1) {
    bytes.reset();
  }
  return bytes;
}

bool add_key_identifiers(X509* certificate, const PublicKey& subject, const PublicKey& issuer) {
  const auto own = key_identifier(subject);
  const std::unique_ptr<AUTHORITY_KEYID, Free<AUTHORITY_KEYID_free>> authority{
      AUTHORITY_KEYID_new()};
  if (!own || !authority) {
    return false;
  }
  authority->keyid = key_identifier(issuer).release();
  return X509_add1_ext_i2d(certificate, NID_subject_key_identifier, own.get(), 0,
                           X509V3_ADD_DEFAULT) == 1 &&
         X509_add1_ext_i2d(certificate, NID_authority_key_identifier, authority.get(), 0,
                           X509V3_ADD_DEFAULT) == 1;
}

bool set_serial(X509* certificate) {
  std::array<std::byte, 16> bytes = {};
  random_bytes(bytes);
  bytes[0] &= std::byte{0x7F};   // 127 bits, so that the DER form stays positive and short.
  bytes[15] |= std::byte{0x01};  // Never zero.
  const BigNumberPtr number{BN_bin2bn(as_uchar(bytes.data()), bytes.size(), nullptr)};
  return number != nullptr &&
         BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr;
}

bool set_names(X509* certificate, const CertificateRequest& request, const X509* issuer) {
  X509_NAME* subject = X509_get_subject_name(certificate);
  const auto& name = request.common_name;
  if (X509_NAME_add_entry_by_NID(
          subject, NID_commonName, MBSTRING_UTF8,
          as_uchar(std::as_bytes(std::span{name.data(), name.size()}).data()),
          static_cast<int>(name.size()), -1, 0) != 1) {
    return false;
  }
  return X509_set_issuer_name(certificate,
                              issuer == nullptr ? subject : X509_get_subject_name(issuer)) == 1;
}

bool set_validity(X509* certificate, const CertificateRequest& request) {
  return ASN1_TIME_set(X509_getm_notBefore(certificate), request.not_before) != nullptr &&
         ASN1_TIME_set(X509_getm_notAfter(certificate), request.not_after) != nullptr;
}

Result<void> check_request(const CertificateRequest& request, const PublicKey& subject_key,
                           const PublicKey& issuer_key, const Certificate* issuer) {
  if (request.common_name.empty() || request.common_name.size() > kMaxCommonName) {
    return fail(Errc::invalid_argument,
                fmt::format("the certificate name \"{}\" has not 1 to {} bytes",
                            request.common_name, kMaxCommonName),
                {.value = request.common_name});
  }
  if (request.not_before > request.not_after) {
    return fail(Errc::invalid_argument, "the certificate would end before it begins");
  }
  if (!((issuer == nullptr ? subject_key : issuer->public_key()) == issuer_key)) {
    return fail(Errc::invalid_argument, "the issuer's key is not the one of its certificate");
  }
  return {};
}

}  // namespace

Result<Certificate> make_certificate(const CertificateRequest& request,
                                     const PublicKey& subject_key, const PrivateKey& issuer_key,
                                     const Certificate* issuer) {
  initialise_library();
  const auto signing_key = issuer_key.public_key();
  SPHERE_TRY(check_request(request, subject_key, signing_key, issuer));
  X509Ptr issuer_certificate;
  if (issuer != nullptr) {
    const unsigned char* begin = as_uchar(issuer->der().data());
    issuer_certificate.reset(d2i_X509(nullptr, &begin, static_cast<long>(issuer->der().size())));
  }
  std::array<std::byte, kPointSize> point = {};
  std::ranges::copy(std::span{subject_key.spki()}.last(kPointSize), point.begin());
  const auto subject = make_pkey(point, {});
  const X509Ptr certificate{X509_new()};
  if (!certificate || !subject || X509_set_version(certificate.get(), X509_VERSION_3) != 1 ||
      !set_serial(certificate.get()) || !set_validity(certificate.get(), request) ||
      !set_names(certificate.get(), request, issuer_certificate.get()) ||
      X509_set_pubkey(certificate.get(), subject.get()) != 1 ||
      !add_basic_constraints(certificate.get(), request.is_ca) ||
      !add_key_usage(certificate.get(), request.is_ca) ||
      (request.server_auth && !add_server_auth(certificate.get())) ||
      !add_key_identifiers(certificate.get(), subject_key, signing_key)) {
    return tl::make_unexpected(openssl_error("make a certificate"));
  }
  SPHERE_TRY(add_alternative_names(certificate.get(), request));
  if (X509_sign(certificate.get(), issuer_key.handle().pkey.get(), EVP_sha256()) <= 0) {
    return tl::make_unexpected(openssl_error("sign a certificate"));
  }
  unsigned char* der = nullptr;
  const int size = i2d_X509(certificate.get(), &der);
  if (size <= 0) {
    return tl::make_unexpected(openssl_error("write a certificate"));
  }
  auto result = Certificate::from_der(as_byte_span(der, static_cast<std::size_t>(size)));
  OPENSSL_free(der);
  return result;
}

}  // namespace sphere::crypto
