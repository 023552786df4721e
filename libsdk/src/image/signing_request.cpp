// SPDX-License-Identifier: MIT
#include "sphere/image/signing_request.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "sphere/core/encoding.h"
#include "sphere/core/reader.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/crypto/digest.h"
#include "sphere/crypto/key.h"
#include "sphere/crypto/signer.h"
#include "sphere/image/batch.h"
#include "sphere/image/package.h"
#include "sphere/json/value.h"

namespace sphere::image {
namespace {

constexpr std::string_view kKind = "sphere-signing-request";
constexpr std::int64_t kVersion = 1;
constexpr std::size_t kScalar = 32;

tl::unexpected<Error> bad_request(std::string_view what) {
  return fail(Errc::corrupt, fmt::format("this is no signing request: {}", what),
              {.reason = "local.file-unreadable",
               .value = std::string{what},
               .next = "make it again: sphere image-package export-digest"});
}

tl::unexpected<Error> bad_signature(std::string_view what, std::size_t size) {
  return fail(Errc::corrupt,
              fmt::format("this is no signature of 64 bytes or in DER: {} ({} bytes)", what, size),
              {.reason = "local.file-unreadable",
               .value = std::to_string(size),
               .next = "give what sphere image-package sign-digest or openssl wrote"});
}

// The bytes of a member in hexadecimal, exactly as many as `target` holds.
Result<void> read_hex(const json::Value& value, std::string_view key, std::span<std::byte> target) {
  const auto text = value.string_at(key);
  const auto bytes = text ? from_hex(*text) : std::nullopt;
  if (!bytes || bytes->size() != target.size()) {
    return bad_request(fmt::format("\"{}\" is not {} hexadecimal digits", key, 2 * target.size()));
  }
  std::ranges::copy(*bytes, target.begin());
  return {};
}

// One INTEGER of a DER signature into 32 bytes, big-endian.
bool read_scalar(Reader& reader, std::span<std::byte> target) {
  constexpr std::uint8_t kInteger = 0x02;
  const auto tag = reader.little_endian<std::uint8_t>();
  const auto length = reader.little_endian<std::uint8_t>();
  if (!tag || *tag != kInteger || !length || *length == 0 || *length > kScalar + 1) {
    return false;
  }
  const auto bytes = reader.bytes(*length);
  if (!bytes) {
    return false;
  }
  auto digits = *bytes;
  if (digits.front() == std::byte{0} && digits.size() > 1) {
    digits = digits.subspan(1);  // It keeps the number from being negative.
  }
  if (digits.size() > kScalar) {
    return false;
  }
  std::ranges::fill(target, std::byte{0});
  std::ranges::copy(digits, target.end() - static_cast<std::ptrdiff_t>(digits.size()));
  return true;
}

Result<crypto::Signature> read_der(std::span<const std::byte> bytes) {
  constexpr std::uint8_t kSequence = 0x30;
  Reader reader{bytes};
  const auto tag = reader.little_endian<std::uint8_t>();
  const auto length = reader.little_endian<std::uint8_t>();
  crypto::Signature signature = {};
  if (!tag || *tag != kSequence || !length || *length != reader.left()) {
    return bad_signature("it does not begin as one", bytes.size());
  }
  if (!read_scalar(reader, std::span{signature}.first(kScalar)) ||
      !read_scalar(reader, std::span{signature}.last(kScalar)) || reader.left() != 0) {
    return bad_signature("it does not hold two numbers", bytes.size());
  }
  return signature;
}

// Keeps the digest that it is asked to sign, and signs nothing.
class DigestCatcher final : public crypto::Signer {
 public:
  DigestCatcher(const crypto::PublicKey& key, const crypto::Sha1Digest& thumbprint)
      : key_{key}, thumbprint_{thumbprint} {}
  [[nodiscard]] const crypto::PublicKey& public_key() const override { return key_; }
  [[nodiscard]] crypto::Sha1Digest thumbprint() const override { return thumbprint_; }
  [[nodiscard]] Result<std::vector<crypto::Signature>> sign(
      std::span<const crypto::Sha256Digest> digests) const override {
    const std::lock_guard lock{mutex_};
    caught_ = digests.front();
    return fail(Errc::cancelled, "only the digest is wanted");
  }
  [[nodiscard]] std::optional<crypto::Sha256Digest> caught() const {
    const std::lock_guard lock{mutex_};
    return caught_;
  }

 private:
  crypto::PublicKey key_;
  crypto::Sha1Digest thumbprint_;
  mutable std::mutex mutex_;  // For the digest.
  mutable std::optional<crypto::Sha256Digest> caught_;
};

}  // namespace

std::string write_signing_request(const SigningRequest& request) {
  json::Value package;
  package.set("file", request.file)
      .set("size", request.size)
      .set("format", request.format)
      .set("imageId", request.image_id)
      .set("componentId", request.component_id)
      .set("name", request.name);
  json::Value value;
  value.set("kind", kKind)
      .set("version", kVersion)
      .set("digest", to_hex(request.digest))
      .set("publicKey", to_base64(request.spki))
      .set("thumbprint", to_hex(request.thumbprint))
      .set("package", std::move(package));
  return json::to_pretty(value) + "\n";
}

Result<SigningRequest> read_signing_request(std::string_view text) {
  auto value = json::parse(text, {.bytes = kMaxSigningRequest});
  if (!value) {
    return bad_request(value.error().message());
  }
  if (value->string_at("kind") != kKind) {
    return bad_request("its \"kind\" is another");
  }
  if (value->integer_at("version") != kVersion) {
    return fail(Errc::unsupported, "the signing request has a version that is not known here",
                {.reason = "package.unsupported", .next = "use a newer sphere"});
  }
  SigningRequest request;
  SPHERE_TRY(read_hex(*value, "digest", request.digest));
  SPHERE_TRY(read_hex(*value, "thumbprint", request.thumbprint));
  const auto spki = from_base64(value->string_at("publicKey").value_or(""));
  if (!spki || spki->empty()) {
    return bad_request("\"publicKey\" is not base64");
  }
  request.spki = *spki;
  if (const auto* package = value->find("package")) {
    request.file = package->string_at("file").value_or("");
    request.size = static_cast<std::uint64_t>(
        std::max<std::int64_t>(package->integer_at("size").value_or(0), 0));
    request.format = package->string_at("format").value_or("");
    request.image_id = package->string_at("imageId").value_or("");
    request.component_id = package->string_at("componentId").value_or("");
    request.name = package->string_at("name").value_or("");
  }
  return request;
}

Result<crypto::Signature> read_signature(std::span<const std::byte> bytes) {
  constexpr std::size_t kMaxDer = 72;
  if (bytes.size() == crypto::kSignatureSize) {
    crypto::Signature signature = {};
    // DER of two short numbers can have this size, too, and begins with its own length.
    if (auto der = read_der(bytes)) {
      return der;
    }
    std::ranges::copy(bytes, signature.begin());
    return signature;
  }
  if (bytes.size() > kMaxDer) {
    return bad_signature("it is too long", bytes.size());
  }
  return read_der(bytes);
}

Result<SigningRequest> make_signing_request(const std::filesystem::path& path,
                                            const crypto::PublicKey& public_key,
                                            const crypto::Sha1Digest& thumbprint,
                                            const BatchTools& tools) {
  SPHERE_TRY(finish_interrupted_signing(path));
  SPHERE_TRY_ASSIGN(const auto package, open_package(path));
  const DigestCatcher catcher{public_key, thumbprint};
  const std::array<SignJob, 1> jobs = {SignJob{.input = path, .signer = &catcher}};
  auto results = sign_packages(jobs, tools);
  const auto digest = catcher.caught();
  if (!digest) {
    return results.front() ? bad_request("nothing was signed")
                           : tl::make_unexpected(std::move(results.front()).error());
  }
  const auto& metadata = package.metadata;
  return SigningRequest{.digest = *digest,
                        .spki = public_key.spki(),
                        .thumbprint = thumbprint,
                        .file = path.filename().string(),
                        .size = package.size,
                        .format = kind_text(metadata),
                        .image_id = metadata.identity.image_id.text(),
                        .component_id = metadata.identity.component_id.text(),
                        .name = metadata.debug.name};
}

Result<DetachedSigner> DetachedSigner::create(const SigningRequest& request,
                                              const crypto::Signature& signature) {
  SPHERE_TRY_ASSIGN(auto key, crypto::PublicKey::from_spki(request.spki));
  if (!key.verify(request.digest, signature)) {
    return fail(Errc::unverified, "the signature is not that of the request's key and digest",
                {.reason = "key.refused",
                 .value = to_hex(key.id()),
                 .next = "sign the digest of this request with the key that it names"});
  }
  return DetachedSigner{std::move(key), request, signature};
}

Result<std::vector<crypto::Signature>> DetachedSigner::sign(
    std::span<const crypto::Sha256Digest> digests) const {
  if (std::ranges::any_of(digests, [this](const auto& digest) { return digest != digest_; })) {
    return fail(Errc::unverified, "the package is not the one that the request is about",
                {.reason = "package.untrusted",
                 .value = to_hex(digest_),
                 .next = "name the file that export-digest was given, unchanged"});
  }
  return std::vector<crypto::Signature>(digests.size(), signature_);
}

}  // namespace sphere::image
