// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>

#include "sphere/core/result.h"

namespace sphere::cli {

inline constexpr int kDone = 0;
inline constexpr int kFailed = 1;  // The operation failed or could not start.
inline constexpr int kUsage = 2;   // The line was wrong; nothing was touched.

// The dotted name of the cause, "device.locked": the error's own, else the default of its code.
[[nodiscard]] std::string_view reason_of(const Error& error);

[[nodiscard]] int exit_status(const Error& error);

}  // namespace sphere::cli
