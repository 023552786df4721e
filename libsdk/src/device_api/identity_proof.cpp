// SPDX-License-Identifier: MIT
#include "sphere/device_api/identity_proof.h"

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

#include "sphere/core/encoding.h"
#include "sphere/core/result.h"
#include "sphere/crypto/cose.h"
#include "sphere/crypto/digest.h"
#include "sphere/crypto/key.h"

namespace sphere::device_api {
namespace {

constexpr std::size_t kDeviceId = 64;

tl::unexpected<Error> changed(std::string_view what) {
  return fail(Errc::unverified,
              "the device does not prove its identity: another " + std::string{what},
              {.reason = "device.identity-changed",
               .value = std::string{what},
               .next = "make sure that nothing stands between this PC and the device"});
}

}  // namespace

Result<std::vector<std::byte>> make_identity_proof(std::span<const std::byte> nonce,
                                                   const crypto::PrivateKey& device_key,
                                                   const crypto::Sha256Digest& leaf_spki) {
  const auto device_id = device_key.public_key().point();
  const auto payload = crypto::CborWriter{}
                           .map(3)
                           .unsigned_integer(1)
                           .byte_string(nonce)
                           .unsigned_integer(2)
                           .byte_string(device_id)
                           .unsigned_integer(3)
                           .byte_string(leaf_spki)
                           .data();
  return crypto::cose_sign1(kIdentityContentType, device_id, payload, device_key);
}

Result<crypto::Sha256Digest> open_identity_proof(std::span<const std::byte> proof,
                                                 std::span<const std::byte> expected_nonce,
                                                 std::string_view expected_id) {
  const auto device_id = from_hex(expected_id);
  if (!device_id || device_id->size() != kDeviceId) {
    return fail(Errc::invalid_argument, "not a device id: " + std::string{expected_id});
  }
  if (proof.size() > kLargestProof) {
    return fail(Errc::corrupt, "the device's identity proof is too long",
                {.reason = "device.error"});
  }
  SPHERE_TRY_ASSIGN(const auto key,
                    crypto::PublicKey::from_point(std::span{*device_id}.first<kDeviceId>()));
  const auto opened = crypto::cose_open(proof, kIdentityContentType, key);
  if (!opened) {
    return opened.error().code() == Errc::unverified ? changed("signature")
                                                     : tl::make_unexpected(opened.error());
  }
  crypto::CborReader reader{opened->payload};
  const bool map = reader.map() == 3 && reader.unsigned_integer() == 1;
  const auto nonce = reader.byte_string();
  const bool second = reader.unsigned_integer() == 2;
  const auto device = reader.byte_string();
  const bool third = reader.unsigned_integer() == 3;
  const auto leaf = reader.byte_string();
  if (!map || !nonce || !second || !device || !third || !leaf ||
      leaf->size() != sizeof(crypto::Sha256Digest) || !reader.at_end()) {
    return fail(Errc::corrupt, "the device's identity proof has another form",
                {.reason = "device.error"});
  }
  if (!std::ranges::equal(*nonce, expected_nonce)) {
    return changed("nonce");
  }
  if (!std::ranges::equal(*device, *device_id) || !std::ranges::equal(opened->key_id, *device_id)) {
    return changed("device id");
  }
  crypto::Sha256Digest digest = {};
  std::ranges::copy(*leaf, digest.begin());
  return digest;
}

Result<void> check_identity_proof(std::span<const std::byte> proof,
                                  const ExpectedIdentity& expected) {
  SPHERE_TRY_ASSIGN(const auto leaf,
                    open_identity_proof(proof, expected.nonce, expected.device_id));
  return leaf == expected.leaf_spki ? Result<void>{} : changed("TLS key");
}

}  // namespace sphere::device_api
