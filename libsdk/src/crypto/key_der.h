// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <span>

#include "libsdk/src/crypto/openssl.h"
#include "sphere/core/result.h"
#include "sphere/crypto/key.h"

namespace sphere::crypto {

// The point of a P-256 SubjectPublicKeyInfo (RFC 5480): named curve, uncompressed point. Not
// checked to be on the curve. Errors: corrupt, unsupported (algorithm, curve, compressed point).
[[nodiscard]] Result<std::array<std::byte, kPointSize>> read_spki(std::span<const std::byte> der);

// The parts of a private key; spans point into the input.
struct RawPrivateKey {
  std::span<const std::byte> scalar;                // kScalarSize bytes.
  std::optional<std::span<const std::byte>> point;  // kPointSize bytes, if the file has it.
};

// SEC1 ECPrivateKey (RFC 5915); `curve_known` when an outer structure has named the curve.
[[nodiscard]] Result<RawPrivateKey> read_sec1(std::span<const std::byte> der, bool curve_known);
// PKCS#8 PrivateKeyInfo (RFC 5208).
[[nodiscard]] Result<RawPrivateKey> read_pkcs8(std::span<const std::byte> der);

// The key of a PrivateKeyInfo. Errors: corrupt, unsupported.
[[nodiscard]] Result<PrivateKey> private_key_from_pkcs8(std::span<const std::byte> der);

}  // namespace sphere::crypto
