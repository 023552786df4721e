// SPDX-License-Identifier: MIT
#pragma once

#include "sphere/core/result.h"
#include "sphere/image/asxipfs.h"

namespace sphere::image {

// What every application must have: a manifest of at most 64 KiB whose entry point, when it names
// one, is an executable file. Errors: corrupt, too_large.
[[nodiscard]] Result<void> check_manifest(const FileSystem& files);

}  // namespace sphere::image
