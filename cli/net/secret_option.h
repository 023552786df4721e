// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "cli/commands/command.h"
#include "sphere/core/result.h"

namespace sphere::cli {

// The value of an option that holds a secret: as it stands, "@FILE" from a file, "-" from standard
// input, so that it stays out of process lists; one newline at its end is dropped. "" when the
// option was not given. Errors: those of read_text_file().
[[nodiscard]] Result<std::string> secret_option(const Arguments& arguments, std::string_view name);

// The value of an option that is a whole number of 0 and up. Error: usage.bad-value.
[[nodiscard]] Result<std::int64_t> number_option(const Arguments& arguments, std::string_view name);

}  // namespace sphere::cli
