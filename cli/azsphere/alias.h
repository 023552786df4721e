// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <vector>

#include "sphere/core/result.h"

namespace sphere::cli {

// A line of the old `azsphere` in the words of `sphere`: commands by one table, options by another,
// and what old programs did with hyphens and commas. What it does not know stays as it is.
//
//   dev edv                        device enable-development
//   device sideload start -d -i ID device app start --debug-mode -i ID
//   device prep-debug              device enable-development
//   --imagepackage F               --image-package F
//   --hardware-definitions a,b     --hardware-definitions a b
//
// Errors: usage.not-offered for `interactive`; unavailable (service.not-configured) for commands of
// the cloud that this PC has no service for.
[[nodiscard]] Result<std::vector<std::string>> to_sphere(const std::vector<std::string>& line);

}  // namespace sphere::cli
