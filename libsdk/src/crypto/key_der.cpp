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

#include "libsdk/src/crypto/openssl.h"
#include "sphere/core/reader.h"
#include "sphere/core/result.h"

namespace sphere::crypto {
namespace {

// DER tags (X.690).
constexpr std::uint8_t kInteger = 0x02;
constexpr std::uint8_t kBitString = 0x03;
constexpr std::uint8_t kOctetString = 0x04;
constexpr std::uint8_t kObjectId = 0x06;
constexpr std::uint8_t kSequence = 0x30;
constexpr std::uint8_t kContext0 = 0xA0;
constexpr std::uint8_t kContext1 = 0xA1;

// 1.2.840.10045.2.1 and 1.2.840.10045.3.1.7 (RFC 5480).
constexpr std::array<std::uint8_t, 7> kEcPublicKey = {0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01};
constexpr std::array<std::uint8_t, 8> kPrime256v1 = {0x2A, 0x86, 0x48, 0xCE,
                                                     0x3D, 0x03, 0x01, 0x07};

using Bytes = std::span<const std::byte>;

struct Element {
  std::uint8_t tag = 0;
  Bytes content;
};

// Definite lengths of at most 65,535 bytes: more than any key has.
std::optional<Element> read_element(Reader& reader) {
  const auto tag = reader.little_endian<std::uint8_t>();
  const auto first = reader.little_endian<std::uint8_t>();
  if (!tag || !first) {
    return std::nullopt;
  }
  std::size_t length = *first;
  if (*first >= 0x80) {
    const std::size_t count = *first & 0x7FU;
    if (count < 1 || count > 2) {
      return std::nullopt;
    }
    length = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const auto byte = reader.little_endian<std::uint8_t>();
      if (!byte) {
        return std::nullopt;
      }
      length = length << 8U | *byte;
    }
  }
  const auto content = reader.bytes(length);
  if (!content) {
    return std::nullopt;
  }
  return Element{.tag = *tag, .content = *content};
}

std::optional<Bytes> read_tagged(Reader& reader, std::uint8_t tag) {
  const auto element = read_element(reader);
  if (!element || element->tag != tag) {
    return std::nullopt;
  }
  return element->content;
}

template <std::size_t kSize>
bool equals(Bytes bytes, const std::array<std::uint8_t, kSize>& other) {
  return std::ranges::equal(bytes, std::as_bytes(std::span{other}));
}

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
  const auto algorithm = read_tagged(reader, kObjectId);
  if (!algorithm) {
    return corrupt("key algorithm");
  }
  if (!equals(*algorithm, kEcPublicKey)) {
    return unsupported("the key is not an elliptic-curve key");
  }
  const auto curve = read_element(reader);
  if (!curve) {
    return corrupt("key algorithm");
  }
  if (curve->tag != kObjectId || !equals(curve->content, kPrime256v1)) {
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
Result<void> read_sec1_option(const Element& element, bool& curve_known, RawPrivateKey& key) {
  Reader inner{element.content};
  if (element.tag == kContext0) {
    const auto curve = read_tagged(inner, kObjectId);
    if (!curve || !equals(*curve, kPrime256v1)) {
      return unsupported("the key is on another curve");
    }
    curve_known = true;
    return {};
  }
  const auto bits = element.tag == kContext1 ? read_tagged(inner, kBitString) : std::nullopt;
  if (!bits) {
    return corrupt("private key");
  }
  SPHERE_TRY_ASSIGN(key.point, read_point(*bits));
  return {};
}

// Both are optional.
Result<void> read_sec1_options(Reader& reader, bool& curve_known, RawPrivateKey& key) {
  while (reader.left() > 0) {
    const auto element = read_element(reader);
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
  const auto outer = read_tagged(file, kSequence);
  if (!outer || file.left() != 0) {
    return corrupt("public key");
  }
  Reader reader{*outer};
  const auto algorithm = read_tagged(reader, kSequence);
  if (!algorithm) {
    return corrupt("public key");
  }
  SPHERE_TRY(check_algorithm(*algorithm));
  const auto bits = read_tagged(reader, kBitString);
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
  const auto outer = read_tagged(file, kSequence);
  if (!outer || file.left() != 0) {
    return corrupt("private key");
  }
  Reader reader{*outer};
  if (!is_version(read_tagged(reader, kInteger), 1)) {
    return corrupt("private key");
  }
  const auto scalar = read_tagged(reader, kOctetString);
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
  const auto outer = read_tagged(file, kSequence);
  if (!outer || file.left() != 0) {
    return corrupt("private key");
  }
  Reader reader{*outer};
  if (!is_version(read_tagged(reader, kInteger), 0)) {
    return corrupt("private key");
  }
  const auto algorithm = read_tagged(reader, kSequence);
  if (!algorithm) {
    return corrupt("private key");
  }
  SPHERE_TRY(check_algorithm(*algorithm));
  const auto inner = read_tagged(reader, kOctetString);  // Attributes may follow; they say nothing.
  if (!inner) {
    return corrupt("private key");
  }
  return read_sec1(*inner, true);
}

}  // namespace sphere::crypto
