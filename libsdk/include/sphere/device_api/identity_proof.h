// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "sphere/core/result.h"
#include "sphere/crypto/digest.h"
#include "sphere/crypto/key.h"

// POST /sphere/v1/identity: the device signs, with the key that is its identity, the TLS key it
// uses. A COSE_Sign1 whose key id is the device id and whose payload is the map
//
//   {1: nonce, 2: device id (64 bytes), 3: SHA-256 of the leaf's SubjectPublicKeyInfo}
//
// Who sits between the two cannot relay it: the client compares field 3 with the key that it saw.
namespace sphere::device_api {

inline constexpr std::string_view kIdentityContentType = "application/vnd.sphere.device-tls";
inline constexpr std::size_t kSmallestNonce = 16;
inline constexpr std::size_t kLargestNonce = 64;
inline constexpr std::size_t kLargestProof = 512;

[[nodiscard]] Result<std::vector<std::byte>> make_identity_proof(
    std::span<const std::byte> nonce, const crypto::PrivateKey& device_key,
    const crypto::Sha256Digest& leaf_spki);

// What a client expects of the proof.
struct ExpectedIdentity {
  std::span<const std::byte> nonce;
  std::string_view device_id;      // 128 hexadecimal digits.
  crypto::Sha256Digest leaf_spki;  // Of the certificate that it saw.
};

// Errors: corrupt (form), unverified (signature, nonce, device or leaf is another;
// device.identity-changed).
[[nodiscard]] Result<void> check_identity_proof(std::span<const std::byte> proof,
                                                const ExpectedIdentity& expected);

// Field 3 of a proof that holds, for a client that goes on with exactly that TLS key. Errors: as
// above.
[[nodiscard]] Result<crypto::Sha256Digest> open_identity_proof(std::span<const std::byte> proof,
                                                               std::span<const std::byte> nonce,
                                                               std::string_view device_id);

}  // namespace sphere::device_api
