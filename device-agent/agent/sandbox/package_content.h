// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <span>

#include "sphere/core/descriptor.h"
#include "sphere/core/result.h"
#include "sphere/image/package.h"

namespace sphere::agent {

// A file in memory that nobody can change any more.
[[nodiscard]] Result<Descriptor> make_sealed_file(const char* name,
                                                  std::span<const std::byte> content);

// Opens the bytes of a verified image package, which must outlive it, with the files of either
// format. Errors: those of image::open_package().
[[nodiscard]] Result<image::Package> open_verified(std::span<const std::byte> package);

}  // namespace sphere::agent
