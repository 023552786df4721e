// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>

#include "sphere/core/result.h"
#include "sphere/recovery/file_set.h"
#include "sphere/recovery/preflight.h"
#include "sphere/recovery/sphere_v3.h"

namespace sphere::recovery {

struct CheckedSetV3 {
  SphereV3Config config;  // Of the client: manifest and its hash.
  std::string signer;     // Label of the key.
};

// Checks a whole recovery set of one's own board before a byte goes to the board: the manifest is
// signed by a key of `trust`, it is for `board` (empty: any), and each file that it names is there
// with its size and hash. Files that it does not name are left alone.
//
// Errors: not_found (recovery.image-missing); corrupt, unverified, unsupported, invalid_argument
// (recovery.image-refused). Each names the file.
[[nodiscard]] Result<CheckedSetV3> check_set_v3(const FileSet& set, const TrustOf& trust,
                                                std::string_view board);

}  // namespace sphere::recovery
