// SPDX-License-Identifier: MIT
#include "sphere/crypto/key.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <tl/expected.hpp>

#include "libsdk/src/crypto/key_der.h"
#include "libsdk/src/crypto/openssl.h"
#include "libsdk/src/crypto/pem.h"
#include "sphere/core/result.h"
#include "sphere/crypto/certificate.h"
#include "sphere/crypto/digest.h"
#include "sphere/crypto/library.h"
#include "sphere/crypto/secret.h"

namespace sphere::crypto {
namespace {

constexpr std::string_view kSec1Label = "EC PRIVATE KEY";  // RFC 5915
constexpr std::string_view kPkcs8Label = "PRIVATE KEY";    // RFC 5958

// SubjectPublicKeyInfo of P-256 up to the point (RFC 5480): SEQUENCE { SEQUENCE { ecPublicKey,
// prime256v1 }, BIT STRING }.
constexpr std::array<std::uint8_t, 26> kSpkiHead = {
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01,
    0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00};

// The order n of P-256 (FIPS 186-4 D.1.2.3), big-endian.
constexpr std::array<std::uint8_t, kScalarSize> kOrder = {
    0xFF, 0xFF, 0xFF, 0xFF, 0x00, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
    0xBC, 0xE6, 0xFA, 0xAD, 0xA7, 0x17, 0x9E, 0x84, 0xF3, 0xB9, 0xCA, 0xC2, 0xFC, 0x63, 0x25, 0x51};

// A number in [1, n-1]. For public values; not constant in time.
bool is_in_range(std::span<const std::byte> number) {
  const auto order = std::as_bytes(std::span{kOrder});
  return std::ranges::lexicographical_compare(number, order) &&
         std::ranges::any_of(number, [](std::byte b) { return b != std::byte{0}; });
}

struct Group {
  std::unique_ptr<EC_GROUP, Free<EC_GROUP_free>> group{
      EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1)};
};

// scalar * generator, or nothing for a scalar that is not in [1, n-1].
std::optional<std::array<std::byte, kPointSize>> multiply_generator(
    std::span<const std::byte> scalar) {
  const Group curve;
  const std::unique_ptr<EC_POINT, Free<EC_POINT_clear_free>> point{EC_POINT_new(curve.group.get())};
  const BigNumberPtr number{BN_secure_new()};
  if (!point || !number ||
      BN_bin2bn(as_uchar(scalar.data()), static_cast<int>(scalar.size()), number.get()) ==
          nullptr ||
      BN_is_zero(number.get()) != 0 ||
      BN_cmp(number.get(), EC_GROUP_get0_order(curve.group.get())) >= 0) {
    return std::nullopt;
  }
  BN_set_flags(number.get(), BN_FLG_CONSTTIME);
  std::array<std::byte, kPointSize> result = {};
  if (EC_POINT_mul(curve.group.get(), point.get(), number.get(), nullptr, nullptr, nullptr) != 1 ||
      EC_POINT_point2oct(curve.group.get(), point.get(), POINT_CONVERSION_UNCOMPRESSED,
                         as_uchar(result.data()), result.size(), nullptr) != result.size()) {
    return std::nullopt;
  }
  return result;
}

struct Parameters {
  BigNumberPtr scalar;  // The parameters point to it until they are built.
  std::unique_ptr<OSSL_PARAM, Free<OSSL_PARAM_free>> list;
};

Parameters make_parameters(std::span<const std::byte, kPointSize> point,
                           std::span<const std::byte> scalar) {
  Parameters result;
  const std::unique_ptr<OSSL_PARAM_BLD, Free<OSSL_PARAM_BLD_free>> builder{OSSL_PARAM_BLD_new()};
  bool good = builder != nullptr &&
              OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME,
                                              SN_X9_62_prime256v1, 0) == 1 &&
              OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(),
                                               point.size()) == 1;
  if (good && !scalar.empty()) {
    result.scalar.reset(BN_secure_new());
    good = result.scalar != nullptr &&
           BN_bin2bn(as_uchar(scalar.data()), static_cast<int>(scalar.size()),
                     result.scalar.get()) != nullptr &&
           OSSL_PARAM_BLD_push_BN_pad(builder.get(), OSSL_PKEY_PARAM_PRIV_KEY, result.scalar.get(),
                                      kScalarSize) == 1;
  }
  if (good) {
    result.list.reset(OSSL_PARAM_BLD_to_param(builder.get()));
  }
  return result;
}

Error not_a_key() {
  return Error{Errc::corrupt, "no P-256 key in the text", {.reason = "key.refused"}};
}

Error encrypted_key() {
  return Error{Errc::unsupported,
               "the private key is encrypted in a way that is not read here",
               {.reason = "key.refused",
                .next = "encrypt it anew: openssl pkcs8 -topk8 -scrypt -in FILE -out FILE"}};
}

// Errors for blocks that hold a private key of a kind that is not read.
Result<void> check_supported(const PemBlock& block) {
  if (block.encrypted || block.label == "ENCRYPTED PRIVATE KEY") {
    return tl::make_unexpected(encrypted_key());
  }
  if (block.label == "RSA PRIVATE KEY" || block.label == "DSA PRIVATE KEY") {
    return fail(Errc::unsupported,
                fmt::format("{} found; only P-256 keys are supported", block.label),
                {.reason = "key.refused", .next = "make a key with: sphere key create"});
  }
  return {};
}

struct PrivateParts {
  PkeyPtr pkey;
  std::array<std::byte, kPointSize> point = {};
};

Result<PrivateParts> make_parts(const RawPrivateKey& raw) {
  const auto point = multiply_generator(raw.scalar);
  if (!point || (raw.point && !std::ranges::equal(*raw.point, *point))) {
    return fail(Errc::corrupt, "the two halves of the private key do not belong together",
                {.reason = "key.refused"});
  }
  auto pkey = make_pkey(*point, raw.scalar);
  if (!pkey) {
    return tl::make_unexpected(not_a_key());
  }
  return PrivateParts{.pkey = std::move(pkey), .point = *point};
}

Result<PrivateParts> read_private_block(const PemBlock& block) {
  if (!block.der) {
    return tl::make_unexpected(not_a_key());
  }
  SPHERE_TRY_ASSIGN(const auto raw, block.label == kSec1Label ? read_sec1(block.der->bytes(), false)
                                                              : read_pkcs8(block.der->bytes()));
  return make_parts(raw);
}

}  // namespace

std::vector<std::byte> spki_of(std::span<const std::byte, kPointSize> point) {
  const auto head = std::as_bytes(std::span{kSpkiHead});
  std::vector<std::byte> spki{head.begin(), head.end()};
  spki.insert(spki.end(), point.begin(), point.end());
  return spki;
}

PkeyPtr make_pkey(std::span<const std::byte, kPointSize> point, std::span<const std::byte> scalar) {
  initialise_library();
  const auto parameters = make_parameters(point, scalar);
  const PkeyContextPtr context{EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr)};
  EVP_PKEY* key = nullptr;
  if (!parameters.list || !context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key,
                        scalar.empty() ? EVP_PKEY_PUBLIC_KEY : EVP_PKEY_KEYPAIR,
                        parameters.list.get()) != 1) {
    ERR_clear_error();
    return nullptr;
  }
  return PkeyPtr{key};
}

Result<PublicKey> PublicKey::from_spki(std::span<const std::byte> der) {
  SPHERE_TRY_ASSIGN(const auto point, read_spki(der));
  return from_point(std::span{point}.subspan<1>());
}

Result<PublicKey> PublicKey::from_pem(std::string_view pem) {
  for (auto block = next_pem_block(pem); block; block = next_pem_block(block->rest)) {
    if (block->label == "PUBLIC KEY" && block->der) {
      return from_spki(block->der->bytes());
    }
    if (block->label == "CERTIFICATE" && block->der) {
      SPHERE_TRY_ASSIGN(const auto certificate, Certificate::from_der(block->der->bytes()));
      return certificate.public_key();
    }
  }
  return fail(Errc::corrupt, "no public key or certificate in the text", {.reason = "key.refused"});
}

Result<PublicKey> PublicKey::from_point(std::span<const std::byte, 64> xy) {
  std::array<std::byte, kPointSize> point = {std::byte{4}};
  std::ranges::copy(xy, point.begin() + 1);
  auto pkey = make_pkey(point, {});
  if (!pkey) {
    return fail(Errc::corrupt, "the public key is not a point of the curve P-256",
                {.reason = "key.refused"});
  }
  return PublicKey{spki_of(point), std::make_shared<const Handle>(Handle{std::move(pkey)})};
}

std::array<std::byte, 64> PublicKey::point() const {
  std::array<std::byte, 64> xy = {};
  std::ranges::copy(std::span{spki_}.last(xy.size()), xy.begin());
  return xy;
}

std::string PublicKey::pem() const { return to_pem("PUBLIC KEY", spki_); }

Result<void> PublicKey::verify(const Sha256Digest& digest,
                               std::span<const std::byte, kSignatureSize> signature) const {
  const auto r = signature.first<kScalarSize>();
  const auto s = signature.last<kScalarSize>();
  if (!is_in_range(r) || !is_in_range(s)) {
    return fail(Errc::unverified, "the signature holds a number outside 1 to n-1",
                {.reason = "package.untrusted"});
  }
  const SignaturePtr numbers{ECDSA_SIG_new()};
  BigNumberPtr r_number{BN_bin2bn(as_uchar(r.data()), kScalarSize, nullptr)};
  BigNumberPtr s_number{BN_bin2bn(as_uchar(s.data()), kScalarSize, nullptr)};
  if (!numbers || ECDSA_SIG_set0(numbers.get(), r_number.get(), s_number.get()) != 1) {
    return tl::make_unexpected(openssl_error("check a signature"));
  }
  // NOLINTBEGIN(bugprone-unused-return-value): both are owned by `numbers` now.
  static_cast<void>(r_number.release());
  static_cast<void>(s_number.release());
  // NOLINTEND(bugprone-unused-return-value)
  std::array<unsigned char, 80> der = {};  // At most 72 bytes for P-256.
  unsigned char* end = der.data();
  const int size = i2d_ECDSA_SIG(numbers.get(), &end);
  const PkeyContextPtr context{EVP_PKEY_CTX_new(handle_->pkey.get(), nullptr)};
  if (size <= 0 || !context || EVP_PKEY_verify_init(context.get()) != 1) {
    return tl::make_unexpected(openssl_error("check a signature"));
  }
  const int good = EVP_PKEY_verify(context.get(), der.data(), static_cast<std::size_t>(size),
                                   as_uchar(digest.data()), digest.size());
  ERR_clear_error();
  if (good != 1) {
    return fail(Errc::unverified, "the signature does not match", {.reason = "package.untrusted"});
  }
  return {};
}

PrivateKey::PrivateKey(std::unique_ptr<Handle> handle) : handle_{std::move(handle)} {}
PrivateKey::PrivateKey(PrivateKey&&) noexcept = default;
PrivateKey& PrivateKey::operator=(PrivateKey&&) noexcept = default;
PrivateKey::~PrivateKey() = default;

Result<PrivateKey> PrivateKey::generate() {
  initialise_library();
  PkeyPtr pkey{EVP_EC_gen(SN_X9_62_prime256v1)};
  auto handle = std::make_unique<Handle>();
  std::size_t size = 0;
  if (!pkey ||
      EVP_PKEY_get_octet_string_param(pkey.get(), OSSL_PKEY_PARAM_PUB_KEY,
                                      as_uchar(handle->point.data()), handle->point.size(),
                                      &size) != 1 ||
      size != kPointSize) {
    return tl::make_unexpected(openssl_error("make a key"));
  }
  handle->pkey = std::move(pkey);
  return PrivateKey{std::move(handle)};
}

Result<PrivateKey> PrivateKey::from_pem(std::string_view pem) {
  initialise_library();
  for (auto block = next_pem_block(pem); block; block = next_pem_block(block->rest)) {
    SPHERE_TRY(check_supported(*block));
    if (block->label == kSec1Label || block->label == kPkcs8Label) {
      SPHERE_TRY_ASSIGN(auto parts, read_private_block(*block));
      return PrivateKey{
          std::make_unique<Handle>(Handle{.pkey = std::move(parts.pkey), .point = parts.point})};
    }
  }
  return tl::make_unexpected(not_a_key());
}

Result<PrivateKey> private_key_from_pkcs8(std::span<const std::byte> der) {
  SPHERE_TRY_ASSIGN(const auto raw, read_pkcs8(der));
  SPHERE_TRY_ASSIGN(auto parts, make_parts(raw));
  return PrivateKey{std::make_unique<PrivateKey::Handle>(
      PrivateKey::Handle{.pkey = std::move(parts.pkey), .point = parts.point})};
}

Result<PrivateKey> PrivateKey::from_file(const std::filesystem::path& path) {
  SPHERE_TRY_ASSIGN(const auto content, read_private_text(path));
  auto key = from_pem(content.text());
  if (!key) {
    return tl::make_unexpected(std::move(key).error().while_doing(path.string()));
  }
  return key;
}

PublicKey PrivateKey::public_key() const {
  // The private key's own handle does: verification uses the public half only.
  EVP_PKEY_up_ref(handle_->pkey.get());
  return PublicKey{spki_of(handle_->point), std::make_shared<const PublicKey::Handle>(
                                                PublicKey::Handle{PkeyPtr{handle_->pkey.get()}})};
}

Secret PrivateKey::to_pem() const {
  const BioPtr memory{BIO_new(BIO_s_secmem())};
  if (!memory || PEM_write_bio_PKCS8PrivateKey(memory.get(), handle_->pkey.get(), nullptr, nullptr,
                                               0, nullptr, nullptr) != 1) {
    return {};
  }
  char* text = nullptr;
  const long size = BIO_get_mem_data(memory.get(), &text);  // NOLINT: OpenSSL's macro casts.
  const auto bytes = std::as_bytes(std::span{text, static_cast<std::size_t>(size)});
  return Secret{{bytes.begin(), bytes.end()}};
}

Result<Signature> PrivateKey::sign(const Sha256Digest& digest) const {
  const PkeyContextPtr context{EVP_PKEY_CTX_new(handle_->pkey.get(), nullptr)};
  std::array<unsigned char, 80> der = {};
  std::size_t size = der.size();
  if (!context || EVP_PKEY_sign_init(context.get()) != 1 ||
      EVP_PKEY_sign(context.get(), der.data(), &size, as_uchar(digest.data()), digest.size()) !=
          1) {
    return tl::make_unexpected(openssl_error("sign"));
  }
  const unsigned char* begin = der.data();
  const SignaturePtr numbers{d2i_ECDSA_SIG(nullptr, &begin, static_cast<long>(size))};
  Signature result = {};
  const auto halves = std::span{result};
  if (!numbers ||
      BN_bn2binpad(ECDSA_SIG_get0_r(numbers.get()), as_uchar(halves.data()), kScalarSize) < 0 ||
      BN_bn2binpad(ECDSA_SIG_get0_s(numbers.get()), as_uchar(halves.subspan<kScalarSize>().data()),
                   kScalarSize) < 0) {
    return tl::make_unexpected(openssl_error("sign"));
  }
  return result;
}

}  // namespace sphere::crypto
