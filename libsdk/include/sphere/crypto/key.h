// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sphere/core/result.h"
#include "sphere/crypto/digest.h"
#include "sphere/crypto/secret.h"

namespace sphere::crypto {

// r | s, two 32-byte big-endian integers: ECDSA on P-256.
inline constexpr std::size_t kSignatureSize = 64;
using Signature = std::array<std::byte, kSignatureSize>;

// SHA-256 of the SubjectPublicKeyInfo (DER, named curve, uncompressed point: 91 bytes).
using KeyId = Sha256Digest;

// A P-256 public key, checked to be a point of the curve.
class PublicKey {
 public:
  // Errors: corrupt (not a key), unsupported (another algorithm or curve).
  [[nodiscard]] static Result<PublicKey> from_spki(std::span<const std::byte> der);
  [[nodiscard]] static Result<PublicKey> from_pem(std::string_view pem);  // SPKI or certificate.
  // The two coordinates, 32 bytes each, big-endian. Error: corrupt (not on the curve).
  [[nodiscard]] static Result<PublicKey> from_point(std::span<const std::byte, 64> xy);

  [[nodiscard]] const std::vector<std::byte>& spki() const noexcept { return spki_; }
  [[nodiscard]] std::array<std::byte, 64> point() const;  // x | y.
  [[nodiscard]] std::string pem() const;                  // "PUBLIC KEY"
  [[nodiscard]] KeyId id() const { return sha256(spki_); }

  // Checks an ECDSA signature over a SHA-256 digest. Errors: unverified (does not match, or r or s
  // not in [1, n-1]).
  [[nodiscard]] Result<void> verify(const Sha256Digest& digest,
                                    std::span<const std::byte, kSignatureSize> signature) const;

  friend bool operator==(const PublicKey& a, const PublicKey& b) { return a.spki_ == b.spki_; }

 private:
  friend class PrivateKey;
  struct Handle;
  PublicKey(std::vector<std::byte> spki, std::shared_ptr<const Handle> handle)
      : spki_{std::move(spki)}, handle_{std::move(handle)} {}
  std::vector<std::byte> spki_;
  std::shared_ptr<const Handle> handle_;  // Parsed once, shared by all copies; never changed.
};

// A P-256 private key. The scalar stays in OpenSSL's memory and is wiped with the object.
class PrivateKey {
 public:
  PrivateKey(PrivateKey&&) noexcept;
  PrivateKey& operator=(PrivateKey&&) noexcept;
  PrivateKey(const PrivateKey&) = delete;
  PrivateKey& operator=(const PrivateKey&) = delete;
  ~PrivateKey();

  [[nodiscard]] static Result<PrivateKey> generate();
  // Unencrypted PKCS#8 or SEC1 PEM. Errors: corrupt, unsupported (curve, or encrypted: the message
  // says so).
  [[nodiscard]] static Result<PrivateKey> from_pem(std::string_view pem);
  // Reads a PEM file of at most 64 KiB. Errors: as from_pem() and read_file(); permission when the
  // group or others may read it (key.refused; next: chmod 600).
  [[nodiscard]] static Result<PrivateKey> from_file(const std::filesystem::path& path);

  [[nodiscard]] PublicKey public_key() const;
  [[nodiscard]] Secret to_pem() const;  // PKCS#8, unencrypted.
  [[nodiscard]] Result<Signature> sign(const Sha256Digest& digest) const;

  struct Handle;  // Defined inside the module; http uses it through crypto's own functions.
  [[nodiscard]] const Handle& handle() const noexcept { return *handle_; }

 private:
  friend Result<PrivateKey> private_key_from_pkcs8(std::span<const std::byte> der);
  explicit PrivateKey(std::unique_ptr<Handle> handle);
  std::unique_ptr<Handle> handle_;
};

}  // namespace sphere::crypto
