// SPDX-License-Identifier: MIT
#pragma once

#include <optional>
#include <string>

namespace sphere::cli {

// A variable of the environment; nothing when it is not set.
[[nodiscard]] std::optional<std::string> variable(const char* name);
// The same, and nothing when it is set to "".
[[nodiscard]] std::optional<std::string> filled_variable(const char* name);

}  // namespace sphere::cli
