// SPDX-License-Identifier: MIT
#include "sphere/image/pack.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "libsdk/src/image/failure.h"
#include "libsdk/src/image/package_directory.h"
#include "sphere/core/guid.h"
#include "sphere/core/result.h"
#include "sphere/core/writer.h"
#include "sphere/crypto/digest.h"
#include "sphere/crypto/signer.h"
#include "sphere/image/asxipfs.h"
#include "sphere/image/metadata.h"

namespace sphere::image {
namespace {

constexpr std::string_view kManifest = "app_manifest.json";
constexpr std::size_t kSpare = 512;  // Metadata block and signature of an application: 204 or 212.
constexpr std::uint32_t kApplicationRuntime = 3;  // Identity type in ND.

Result<void> mark_executables(const std::vector<std::string>& paths,
                              std::map<std::string, FileSource>& files) {
  for (const auto& path : paths) {
    const auto found = files.find(path.starts_with('/') ? path.substr(1) : path);
    if (found == files.end()) {
      return fail(Errc::not_found, fmt::format("the executable {} is no file of the package", path),
                  {.reason = "package.executable",
                   .value = path,
                   .next = "put it into the package directory, or correct its path"});
    }
    found->second.executable = true;
  }
  return {};
}

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

Guid choose_image_id(const PackRequest& request, std::span<const std::byte> body) {
  if (request.image_id) {
    return *request.image_id;
  }
  return request.reproducible ? derived_image_id(request.component_id, request.build_time, body)
                              : Guid::random();
}

}  // namespace

Guid derived_image_id(const Guid& component_id, std::uint64_t build_time,
                      std::span<const std::byte> body) {
  Writer input;
  input.text("sphere image id")
      .zeros(1)
      .bytes(component_id.stored())
      .little_endian(build_time)
      .bytes(crypto::sha256(body));
  const auto digest = crypto::sha256(input.data());
  std::array<std::byte, Guid::kSize> bytes = {};
  std::ranges::copy(std::span{digest}.first<Guid::kSize>(), bytes.begin());
  bytes[7] = (bytes[7] & std::byte{0x0F}) | std::byte{0x80};  // Version 8 of RFC 9562,
  bytes[8] = (bytes[8] & std::byte{0x3F}) | std::byte{0x80};  // its variant.
  return Guid::from_stored(bytes);
}

Result<Packed> pack_application(const PackRequest& request, const crypto::Signer& signer) {
  SPHERE_TRY_ASSIGN(auto files, read_package_directory(request.directory));
  const auto manifest = std::as_bytes(std::span{request.manifest_text});
  files.insert_or_assign(std::string{kManifest},
                         FileSource{.content = {manifest.begin(), manifest.end()}});
  SPHERE_TRY(mark_executables(request.executables, files));
  SPHERE_TRY_ASSIGN(auto bytes, write_asxipfs(files, kSpare));
  const auto image_id = choose_image_id(request, bytes);
  const auto metadata = write_metadata(
      {.image_type = kApplication, .component_id = request.component_id, .image_id = image_id},
      {.thumbprint = signer.thumbprint(), .signing_type = kSigningTypeEcdsaP256},
      {.build_time = request.build_time, .name = request.name}, kUnderDevelopment,
      depends_of(request.api_set));
  bytes.insert(bytes.end(), metadata.begin(), metadata.end());
  SPHERE_TRY(append_signature(bytes, signer));
  return Packed{.bytes = std::move(bytes), .image_id = image_id};
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
