// SPDX-License-Identifier: MIT
#include "sphere/image/pack.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "libsdk/src/image/failure.h"
#include "libsdk/src/image/owned_section.h"
#include "libsdk/src/image/pack_sources.h"
#include "sphere/core/file.h"
#include "sphere/core/guid.h"
#include "sphere/core/result.h"
#include "sphere/core/writer.h"
#include "sphere/crypto/block_hash.h"
#include "sphere/crypto/digest.h"
#include "sphere/crypto/resumable_sha256.h"
#include "sphere/crypto/signer.h"
#include "sphere/image/asxipfs.h"
#include "sphere/image/metadata.h"

namespace sphere::image {
namespace {

constexpr std::size_t kSpare = 512;  // Metadata block and signature of an application: 204 or 212.

std::optional<std::vector<AbiDependency>> depends_of(std::optional<std::uint32_t> api_set) {
  std::vector<AbiDependency> depends;
  if (api_set) {
    depends.push_back({.version = *api_set, .identity_type = kApplicationRuntime});
  }
  return depends;
}

// Appends the signature over everything that `bytes` holds.
Result<void> append_signature(std::vector<std::byte>& bytes, const crypto::Signer& signer) {
  const std::array<crypto::Sha256Digest, 1> digests = {crypto::sha256(bytes)};
  SPHERE_TRY_ASSIGN(const auto signatures, signer.sign(digests));
  bytes.insert(bytes.end(), signatures.at(0).begin(), signatures.at(0).end());
  return {};
}

Guid derived_id(const Guid& component_id, std::uint64_t build_time,
                const crypto::Sha256Digest& body) {
  Writer input;
  input.text("sphere image id")
      .zeros(1)
      .bytes(component_id.stored())
      .little_endian(build_time)
      .bytes(body);
  return guid_of_digest(crypto::sha256(input.data()));
}

// Needs the digest of the body only for a derived id.
template <typename BodyDigest>
Guid choose_image_id(const PackRequest& request, const BodyDigest& body_digest) {
  if (request.image_id) {
    return *request.image_id;
  }
  return request.reproducible ? derived_id(request.component_id, request.build_time, body_digest())
                              : Guid::random();
}

std::vector<std::byte> metadata_of(const PackRequest& request, const Guid& image_id,
                                   const crypto::Sha1Digest& thumbprint) {
  return write_metadata(
      {.image_type = kApplication, .component_id = request.component_id, .image_id = image_id},
      {.thumbprint = thumbprint, .signing_type = kSigningTypeEcdsaP256},
      {.build_time = request.build_time, .name = request.name}, kUnderDevelopment,
      depends_of(request.api_set));
}

Result<UnsignedPackage> build_in_memory(const PackRequest& request, const PackSources& sources,
                                        const crypto::Sha1Digest& thumbprint) {
  SPHERE_TRY_ASSIGN(auto bytes, sources.read_body(kSpare));
  const auto image_id = choose_image_id(request, [&bytes] { return crypto::sha256(bytes); });
  const auto metadata = metadata_of(request, image_id, thumbprint);
  bytes.insert(bytes.end(), metadata.begin(), metadata.end());
  UnsignedPackage package{
      .size = bytes.size(), .digest = crypto::sha256(bytes), .image_id = image_id};
  package.bytes = std::move(bytes);
  return package;
}

Error with_bytes_needed(Error error, const AtomicFile& output, std::uint64_t bytes) {
  if (error.code() != Errc::no_space) {
    return error;
  }
  auto hint = error.hint();
  hint.next = fmt::format("free {} bytes in the directory of {}", bytes, output.target().string());
  return std::move(error).with_hint(std::move(hint));
}

Result<UnsignedPackage> build_in_file(const PackRequest& request, const PackSources& sources,
                                      const crypto::Sha1Digest& thumbprint,
                                      const BuildTools& tools) {
  SPHERE_TRY_ASSIGN(const auto engine, crypto::HashEngine::from_environment());
  SPHERE_TRY_ASSIGN(const auto crc, sources.read_crc(tools.pool));
  crypto::ResumableSha256 hash{engine};
  const auto write = [&](std::span<const std::byte> piece) {
    hash.update(piece);
    return tools.output->write(piece);
  };
  SPHERE_TRY(sources.stream_body(crc, write));
  const auto image_id = choose_image_id(request, [&hash] {
    auto of_body = hash;  // The hash of the body goes on into that of the package.
    return of_body.finish();
  });
  const auto metadata = metadata_of(request, image_id, thumbprint);
  SPHERE_TRY(write(metadata));
  return UnsignedPackage{
      .size = sources.plan().size + metadata.size(), .digest = hash.finish(), .image_id = image_id};
}

}  // namespace

Guid derived_image_id(const Guid& component_id, std::uint64_t build_time,
                      std::span<const std::byte> body) {
  return derived_id(component_id, build_time, crypto::sha256(body));
}

Result<UnsignedPackage> build_application(const PackRequest& request,
                                          const crypto::Sha1Digest& thumbprint,
                                          const BuildTools& tools) {
  SPHERE_TRY_ASSIGN(const auto sources, PackSources::list(request));
  const auto size = sources.plan().size;
  if (tools.output == nullptr || size <= tools.memory) {
    return build_in_memory(request, sources, thumbprint);
  }
  auto package = build_in_file(request, sources, thumbprint, tools);
  if (!package) {
    return tl::make_unexpected(with_bytes_needed(std::move(package).error(), *tools.output, size));
  }
  return package;
}

Result<Packed> pack_application(const PackRequest& request, const crypto::Signer& signer) {
  SPHERE_TRY_ASSIGN(auto package, build_application(request, signer.thumbprint()));
  const std::array<crypto::Sha256Digest, 1> digests = {package.digest};
  SPHERE_TRY_ASSIGN(const auto signatures, signer.sign(digests));
  package.bytes.insert(package.bytes.end(), signatures.at(0).begin(), signatures.at(0).end());
  return Packed{.bytes = std::move(package.bytes), .image_id = package.image_id};
}

Result<std::vector<std::byte>> sign_again(std::span<const std::byte> package,
                                          const crypto::Signer& signer) {
  SPHERE_TRY_ASSIGN(const auto metadata, read_metadata(package));
  if (metadata.compressed || metadata.signature_info.signing_type != kSigningTypeEcdsaP256) {
    return unsupported("only packages of format v1 that are not compressed can be signed again");
  }
  std::vector<std::byte> bytes;
  bytes.reserve(package.size());
  bytes.assign(package.begin(), package.end() - kSignatureSize);
  const auto thumbprint = signer.thumbprint();
  for (const auto& section : metadata.sections) {
    if (section.id == std::array<char, 2>{'S', 'G'}) {
      const auto at = section.payload.data() - package.data();
      std::ranges::copy(thumbprint, bytes.begin() + at);
    }
  }
  SPHERE_TRY(append_signature(bytes, signer));
  return bytes;
}

}  // namespace sphere::image
