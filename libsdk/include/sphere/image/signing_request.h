// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sphere/core/result.h"
#include "sphere/crypto/digest.h"
#include "sphere/crypto/key.h"
#include "sphere/crypto/signer.h"
#include "sphere/image/batch.h"

// Signing where the key is on a machine that never sees the package: the digest goes out, the
// signature comes in. The public key is known on both sides, since a package names its signer
// inside of what is signed.
namespace sphere::image {

// What a signer is asked for, and what it should look at before it signs. A JSON document:
//
//   {"kind": "sphere-signing-request", "version": 1,
//    "digest": 64 hexadecimal digits, "publicKey": base64 of the SubjectPublicKeyInfo,
//    "thumbprint": 40 hexadecimal digits,
//    "package": {"file", "size", "format", "imageId", "componentId", "name"}}
//
// Only digest, publicKey and thumbprint are used again; the rest is for people, and nothing proves
// it. Keys that are not known are ignored.
struct SigningRequest {
  crypto::Sha256Digest digest = {};
  std::vector<std::byte> spki = {};
  crypto::Sha1Digest thumbprint = {};
  std::string file = {};
  std::uint64_t size = 0;
  std::string format = {};
  std::string image_id = {};
  std::string component_id = {};
  std::string name = {};
};

inline constexpr std::size_t kMaxSigningRequest = std::size_t{16} * 1024;

[[nodiscard]] std::string write_signing_request(const SigningRequest& request);
// Errors: corrupt (local.file-unreadable), naming what is missing or wrong; unsupported for another
// version; too_large.
[[nodiscard]] Result<SigningRequest> read_signing_request(std::string_view text);

// A signature as signers give it: 64 bytes r | s, or DER as openssl writes it (SEQUENCE of two
// INTEGERs, at most 72 bytes). Whether it is good is not looked at. Error: corrupt.
[[nodiscard]] Result<crypto::Signature> read_signature(std::span<const std::byte> bytes);

// Finds the digest that the package at `path` will have once it names `public_key` and `thumbprint`
// as its signer. All checks of sign_packages() are made; no file is changed. Errors: as
// sign_packages().
[[nodiscard]] Result<SigningRequest> make_signing_request(const std::filesystem::path& path,
                                                          const crypto::PublicKey& public_key,
                                                          const crypto::Sha1Digest& thumbprint,
                                                          const BatchTools& tools);

// A Signer that has one signature, made elsewhere, for the digest of one request.
class DetachedSigner final : public crypto::Signer {
 public:
  // Errors: unverified (key.refused) unless the signature is good; those of PublicKey::from_spki().
  [[nodiscard]] static Result<DetachedSigner> create(const SigningRequest& request,
                                                     const crypto::Signature& signature);
  [[nodiscard]] const crypto::PublicKey& public_key() const override { return key_; }
  [[nodiscard]] crypto::Sha1Digest thumbprint() const override { return thumbprint_; }
  // Error: unverified (package.untrusted) for any other digest: the package is not the one that the
  // request is about.
  [[nodiscard]] Result<std::vector<crypto::Signature>> sign(
      std::span<const crypto::Sha256Digest> digests) const override;

 private:
  DetachedSigner(crypto::PublicKey key, const SigningRequest& request,
                 const crypto::Signature& signature)
      : key_{std::move(key)},
        thumbprint_{request.thumbprint},
        digest_{request.digest},
        signature_{signature} {}
  crypto::PublicKey key_;
  crypto::Sha1Digest thumbprint_;
  crypto::Sha256Digest digest_;
  crypto::Signature signature_;
};

}  // namespace sphere::image
