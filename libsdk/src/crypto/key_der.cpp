// SPDX-License-Identifier: MIT
#include "libsdk/src/crypto/key_der.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "libsdk/src/crypto/der.h"
#include "libsdk/src/crypto/openssl.h"
#include "sphere/core/reader.h"
#include "sphere/core/result.h"

namespace sphere::crypto {
namespace {

// 1.2.840.10045.2.1 and 1.2.840.10045.3.1.7 (RFC 5480).
constexpr std::array<std::uint8_t, 7> kEcPublicKey = {0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01};
constexpr std::array<std::uint8_t, 8> kPrime256v1 = {0x2A, 0x86, 0x48, 0xCE,
                                                     0x3D, 0x03, 0x01, 0x07};

using Bytes = std::span<const std::byte>;

bool is_version(std::optional<Bytes> integer, std::uint8_t version) {
  return integer && integer->size() == 1 && std::to_integer<std::uint8_t>((*integer)[0]) == version;
}

tl::unexpected<Error> corrupt(std::string_view what) {
  return fail(Errc::corrupt, fmt::format("malformed {}", what), {.reason = "key.refused"});
}

tl::unexpected<Error> unsupported(std::string_view what) {
  return fail(Errc::unsupported, fmt::format("{}; only P-256 keys are supported", what),
              {.reason = "key.refused", .next = "make a key with: sphere key create"});
}

// AlgorithmIdentifier: ecPublicKey with the named curve P-256.
Result<void> check_algorithm(Bytes content) {
  Reader reader{content};
  const auto algorithm = read_der(reader, kDerObjectId);
  if (!algorithm) {
    return corrupt("key algorithm");
  }
  if (!der_equals(*algorithm, kEcPublicKey)) {
    return unsupported("the key is not an elliptic-curve key");
  }
  const auto curve = read_der_element(reader);
  if (!curve) {
    return corrupt("key algorithm");
  }
  if (curve->tag == kDerSequence) {
    return unsupported("the key spells out the parameters of its curve instead of naming it");
  }
  if (reader.left() != 0) {
    return corrupt("key algorithm");
  }
  if (curve->tag != kDerObjectId || !der_equals(curve->content, kPrime256v1)) {
    return unsupported("the key is on another curve");
  }
  return {};
}

// A BIT STRING without unused bits that holds an uncompressed point.
Result<Bytes> read_point(Bytes bits) {
  if (bits.size() < 2 || bits[0] != std::byte{0}) {
    return corrupt("public key");
  }
  const auto point = bits.subspan(1);
  if (point[0] == std::byte{2} || point[0] == std::byte{3}) {
    return fail(Errc::unsupported, "the public key is in compressed form",
                {.reason = "key.refused",
                 .next = "convert it: openssl ec -pubin -in FILE -conv_form uncompressed"});
  }
  if (point.size() != kPointSize || point[0] != std::byte{4}) {
    return corrupt("public key");
  }
  return point;
}

// [0] parameters or [1] public key of an ECPrivateKey.
Result<void> read_sec1_option(const DerElement& element, bool& curve_known, RawPrivateKey& key) {
  Reader inner{element.content};
  if (element.tag == kDerContext0) {
    const auto curve = read_der_element(inner);
    if (curve && curve->tag == kDerSequence) {
      return unsupported("the key spells out the parameters of its curve instead of naming it");
    }
    if (!curve || inner.left() != 0 || curve->tag != kDerObjectId ||
        !der_equals(curve->content, kPrime256v1)) {
      return unsupported("the key is on another curve");
    }
    curve_known = true;
    return {};
  }
  const auto bits = element.tag == kDerContext1 ? read_der(inner, kDerBitString) : std::nullopt;
  if (!bits) {
    return corrupt("private key");
  }
  SPHERE_TRY_ASSIGN(key.point, read_point(*bits));
  return {};
}

// Both are optional.
Result<void> read_sec1_options(Reader& reader, bool& curve_known, RawPrivateKey& key) {
  while (reader.left() > 0) {
    const auto element = read_der_element(reader);
    if (!element) {
      return corrupt("private key");
    }
    SPHERE_TRY(read_sec1_option(*element, curve_known, key));
  }
  return {};
}

}  // namespace

Result<std::array<std::byte, kPointSize>> read_spki(Bytes der) {
  Reader file{der};
  const auto outer = read_der(file, kDerSequence);
  if (!outer || file.left() != 0) {
    return corrupt("public key");
  }
  Reader reader{*outer};
  const auto algorithm = read_der(reader, kDerSequence);
  if (!algorithm) {
    return corrupt("public key");
  }
  SPHERE_TRY(check_algorithm(*algorithm));
  const auto bits = read_der(reader, kDerBitString);
  if (!bits || reader.left() != 0) {
    return corrupt("public key");
  }
  SPHERE_TRY_ASSIGN(const auto point, read_point(*bits));
  std::array<std::byte, kPointSize> result = {};
  std::ranges::copy(point, result.begin());
  return result;
}

Result<RawPrivateKey> read_sec1(Bytes der, bool curve_known) {
  Reader file{der};
  const auto outer = read_der(file, kDerSequence);
  if (!outer || file.left() != 0) {
    return corrupt("private key");
  }
  Reader reader{*outer};
  if (!is_version(read_der(reader, kDerInteger), 1)) {
    return corrupt("private key");
  }
  const auto scalar = read_der(reader, kDerOctetString);
  if (!scalar) {
    return corrupt("private key");
  }
  RawPrivateKey key{.scalar = *scalar, .point = {}};
  SPHERE_TRY(read_sec1_options(reader, curve_known, key));
  if (!curve_known) {
    return unsupported("the private key does not name its curve");
  }
  if (scalar->size() != kScalarSize) {
    return corrupt("private key");
  }
  return key;
}

Result<RawPrivateKey> read_pkcs8(Bytes der) {
  Reader file{der};
  const auto outer = read_der(file, kDerSequence);
  if (!outer || file.left() != 0) {
    return corrupt("private key");
  }
  Reader reader{*outer};
  if (!is_version(read_der(reader, kDerInteger), 0)) {
    return corrupt("private key");
  }
  const auto algorithm = read_der(reader, kDerSequence);
  if (!algorithm) {
    return corrupt("private key");
  }
  SPHERE_TRY(check_algorithm(*algorithm));
  const auto inner = read_der(reader, kDerOctetString);
  if (!inner) {
    return corrupt("private key");
  }
  while (reader.left() > 0) {  // Attributes [0] may follow; they say nothing.
    const auto attributes = read_der_element(reader);
    if (!attributes || attributes->tag != kDerContext0) {
      return corrupt("private key");
    }
  }
  return read_sec1(*inner, true);
}

}  // namespace sphere::crypto
