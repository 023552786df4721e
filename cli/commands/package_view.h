// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include "sphere/core/result.h"
#include "sphere/image/package.h"

// Packages of every format, for the commands that look into one.
namespace sphere::cli {

// Opens the files of a package v2, and those of the package inside a production package, which
// open_package() leaves closed. Errors: those of image::open_files() and image::open_inner().
[[nodiscard]] Result<image::Package> with_files(image::Package package);

// The package at `path` with its files. Errors: as image::open_package(), naming the file.
[[nodiscard]] Result<image::Package> open_with_files(const std::string& path);

}  // namespace sphere::cli
