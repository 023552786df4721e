// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "sphere/core/result.h"
#include "sphere/image/asxipfs.h"

namespace sphere::image {

// Reads the files below `directory`, but an app_manifest.json in it, with their paths in a package.
// Errors: as pack_application().
[[nodiscard]] Result<std::map<std::string, FileSource>> read_package_directory(
    const std::filesystem::path& directory);

}  // namespace sphere::image
