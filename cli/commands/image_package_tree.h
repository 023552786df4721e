// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include "sphere/image/asxipfs.h"
#include "sphere/json/value.h"

namespace sphere::cli {

// The files of an image below their directories, each directory with the sum of what it holds: the
// lines that stand in place of the list of files.
[[nodiscard]] std::string tree_lines(const image::FileSystem& files);

// The directories, the root first: path, number of files in and below it, and their bytes.
[[nodiscard]] json::Value directory_values(const image::FileSystem& files);

}  // namespace sphere::cli
