// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "sphere/core/guid.h"
#include "sphere/core/result.h"
#include "sphere/crypto/signer.h"
#include "sphere/recovery/manifest_v4.h"

namespace sphere::recovery {

struct SetToPack {
  std::filesystem::path directory;  // Holds the images; its manifest, if there is one, is left out.
  std::string board_id;
  std::uint32_t security_version = 0;
  std::uint64_t build_time = 0;       // Unix seconds.
  std::optional<Guid> image_id = {};  // Of the manifest; from its content when absent.
};

struct PackedSet {
  ManifestV4 manifest;
  Guid image_id;
  std::vector<std::byte> bytes;  // The manifest's package: a set's sphere.recoverymanifest.
};

// Makes the signed manifest of the files in a directory, for boards of one kind. An image package
// keeps its ids and its type; another file is of type 28 (Other) with ids from its name and its
// content. The order is that in which a board writes them: trusted keys first, apps last. All are
// placed by the board's loader.
//
// Errors: not_found (no file), invalid_argument (a file or folder that no set may have, board id),
// too_large (number or size), as system_error() and Signer.
[[nodiscard]] Result<PackedSet> pack_set(const SetToPack& set, const crypto::Signer& signer);

}  // namespace sphere::recovery
