// SPDX-License-Identifier: MIT
#include "sphere/image/package.h"

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "libsdk/src/image/failure.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/crypto/digest.h"
#include "sphere/image/asxipfs.h"
#include "sphere/image/metadata.h"

namespace sphere::image {
namespace {

constexpr std::string_view kManifest = "app_manifest.json";
constexpr std::size_t kMaxManifest = 65'536;

Result<void> check_manifest(const FileSystem& files) {
  const auto* manifest = files.find(kManifest);
  if (manifest == nullptr) {
    return corrupt("application", 0, "it holds no /app_manifest.json");
  }
  if (manifest->content.size() > kMaxManifest) {
    return too_large(fmt::format("/app_manifest.json has {} bytes; at most {} are allowed",
                                 manifest->content.size(), kMaxManifest),
                     std::to_string(manifest->content.size()));
  }
  return {};
}

}  // namespace

std::string kind_text(const Metadata& metadata) {
  if (metadata.signature_info.signing_type == kSigningTypePackageV2) {
    return "package v2";
  }
  if (metadata.compressed) {
    return "production package";
  }
  const auto type = metadata.identity.image_type;
  switch (type) {
    case kApplication:
      return "application";
    case kCapability:
      return "capability";
    case kBoardConfiguration:
      return "board configuration";
    default:
      return fmt::format("image of type {}{}", type,
                         image_type_name(type).empty()
                             ? std::string{}
                             : fmt::format(" ({})", image_type_name(type)));
  }
}

Result<Package> parse_package(std::span<const std::byte> bytes, const Limits& limits) {
  if (bytes.size() > limits.package_bytes) {
    return too_large(
        fmt::format("the package has {} bytes; at most {} are allowed",
                    with_thousands(bytes.size()), with_thousands(limits.package_bytes)),
        std::to_string(bytes.size()));
  }
  Package package{.bytes = bytes, .metadata = {}, .body = {}, .files = {}};
  SPHERE_TRY_ASSIGN(package.metadata, read_metadata(bytes));
  const auto& metadata = package.metadata;
  if (metadata.signature_info.signing_type != kSigningTypeEcdsaP256 || metadata.compressed ||
      metadata.identity.image_type != kApplication) {
    const auto kind = kind_text(metadata);
    return unsupported(
        fmt::format("this is no development package of an application but: {}", kind), kind);
  }
  package.body = bytes.first(metadata.body_size);
  SPHERE_TRY_ASSIGN(package.files, read_asxipfs(package.body));
  SPHERE_TRY(check_manifest(package.files));
  return package;
}

crypto::Sha256Digest signed_digest(const Package& package) {
  return crypto::sha256(package.bytes.first(package.bytes.size() - kSignatureSize));
}

}  // namespace sphere::image
