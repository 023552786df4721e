// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "sphere/core/result.h"
#include "sphere/image/trust.h"
#include "sphere/recovery/file_set.h"
#include "sphere/recovery/manifest_v3.h"
#include "sphere/recovery/sphere_v2.h"

namespace sphere::recovery {

struct CheckedSetV2 {
  SphereV2Config config;  // Of the client: files, number of images.
  ManifestV3 manifest;
  // How far signatures were checked: "signed by <label>", or "well-formed; the board checks them".
  std::string signatures;
  bool signed_by_known_key = false;
};

// The keys that may sign images of a type, as this computer knows them.
using TrustOf = std::function<image::TrustStore(std::uint16_t image_type)>;

// Checks a whole recovery set of an MT3620 before a byte goes to the board: both loaders, the
// manifest and each image that it names are there, each is a package with well-formed metadata and
// signature, images have the size, type and ids of the manifest, all are signed by one key. If that
// is a key of `trust`, each signature must also match; else only the board can tell.
//
// Errors: not_found (recovery.image-missing); corrupt, unverified, unsupported
// (recovery.image-refused); as FileSet::read(). Each names the file.
[[nodiscard]] Result<CheckedSetV2> check_set_v2(const FileSet& set, const TrustOf& trust);

}  // namespace sphere::recovery
