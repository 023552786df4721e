// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <span>

#include "device-agent/agent/sandbox/plan.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/result.h"

namespace sphere::agent {

// A file in memory that nobody can change any more.
[[nodiscard]] Result<Descriptor> make_sealed_file(const char* name,
                                                  std::span<const std::byte> content);

// Lays the files of a verified package, the bytes of an image package, end to end in a sealed file
// in memory and names them in `plan`. The launcher then needs to understand no package. Errors:
// those of image::open_package(); too_large for a file whose pages cannot be had.
[[nodiscard]] Result<Descriptor> lay_out_package(std::span<const std::byte> package, Plan& plan);

}  // namespace sphere::agent
