// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>

#include "sphere/core/result.h"
#include "sphere/crypto/secret.h"

namespace sphere::cli {

// Whether /dev/tty leads to somebody.
[[nodiscard]] bool has_controlling_terminal();

// Asks on /dev/tty and reads one line there without echo. Errors: cancelled when a signal arrives
// or the line ends early; io; too_large.
[[nodiscard]] Result<crypto::Secret> prompt_secret(std::string_view question);

}  // namespace sphere::cli
