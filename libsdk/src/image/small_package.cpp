// SPDX-License-Identifier: MIT
#include "libsdk/src/image/small_package.h"

#include <array>
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include "sphere/core/guid.h"
#include "sphere/core/result.h"
#include "sphere/crypto/digest.h"
#include "sphere/crypto/signer.h"
#include "sphere/image/metadata.h"
#include "sphere/image/pack.h"

namespace sphere::image {
namespace {

Guid choose_id(const SmallPackage& package) {
  if (package.image_id) {
    return *package.image_id;
  }
  return package.reproducible
             ? derived_image_id(package.component_id, package.build_time, package.body)
             : Guid::random();
}

}  // namespace

Result<Packed> pack_small(const SmallPackage& package, const crypto::Signer& signer) {
  const auto image_id = choose_id(package);
  const auto metadata = write_metadata(
      {.image_type = package.image_type,
       .component_id = package.component_id,
       .image_id = image_id},
      {.thumbprint = signer.thumbprint(), .signing_type = kSigningTypeEcdsaP256},
      {.build_time = package.build_time, .name = package.name}, package.temporary, std::nullopt);
  std::vector<std::byte> bytes{package.body.begin(), package.body.end()};
  bytes.insert(bytes.end(), metadata.begin(), metadata.end());
  const std::array<crypto::Sha256Digest, 1> digests = {crypto::sha256(bytes)};
  SPHERE_TRY_ASSIGN(const auto signatures, signer.sign(digests));
  bytes.insert(bytes.end(), signatures.at(0).begin(), signatures.at(0).end());
  return Packed{.bytes = std::move(bytes), .image_id = image_id};
}

}  // namespace sphere::image
