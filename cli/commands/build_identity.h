// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>

#include "cli/commands/command.h"
#include "cli/context.h"
#include "sphere/core/guid.h"
#include "sphere/core/result.h"

namespace sphere::cli {

// When a package was built, and as which image.
struct BuildIdentity {
  std::uint64_t build_time = 0;
  bool reproducible = false;  // SOURCE_DATE_EPOCH is set: the image id is derived.
  std::optional<Guid> image_id = {};
};

// From --build-date and --image-id where the command has them, SOURCE_DATE_EPOCH and the clock.
// Errors: usage.bad-value.
[[nodiscard]] Result<BuildIdentity> read_build_identity(const Context& context,
                                                        const Arguments& arguments);

}  // namespace sphere::cli
