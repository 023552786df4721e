// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "sphere/core/guid.h"
#include "sphere/core/result.h"
#include "sphere/crypto/signer.h"

namespace sphere::image {

// Everything pack_application() needs, already decided: the manifest is the text that goes into the
// package (see sphere/manifest/rewrite.h).
struct PackRequest {
  std::filesystem::path directory;            // Its files, but not its app_manifest.json.
  std::string manifest_text = {};             // Stored as /app_manifest.json.
  std::vector<std::string> executables = {};  // Paths in the package; a leading '/' is ignored.
  std::string name = {};                      // For section DB; cut to 31 bytes.
  Guid component_id = {};
  std::optional<Guid> image_id = {};  // Absent: derived with reproducible, else random.
  std::uint64_t build_time = 0;
  bool reproducible = false;                  // Derive the image id from the content.
  std::optional<std::uint32_t> api_set = {};  // Absent for a real-time app: ND with count 0.
};

struct Packed {
  std::vector<std::byte> bytes;  // The whole package.
  Guid image_id;
};

// Reads the directory and makes a signed development package v1. Symbolic links that end inside the
// directory are stored as the file they name. Errors: not_found (directory, an executable),
// invalid_argument (a link that leaves the directory, or a file that is not regular), too_large,
// and those of the signer.
[[nodiscard]] Result<Packed> pack_application(const PackRequest& request,
                                              const crypto::Signer& signer);

// Signs a package anew: replaces the thumbprint in SG and the signature, nothing else.
[[nodiscard]] Result<std::vector<std::byte>> sign_again(std::span<const std::byte> package,
                                                        const crypto::Signer& signer);

// Writes the files of a package below `directory`, which is made and must be empty or absent.
// Errors: exists, and those of the file system; nothing is left behind on an error.
struct Package;
[[nodiscard]] Result<std::vector<std::string>> unpack(const Package& package,
                                                      const std::filesystem::path& directory);

}  // namespace sphere::image
