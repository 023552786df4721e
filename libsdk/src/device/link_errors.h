// SPDX-License-Identifier: MIT
#pragma once

#include "sphere/core/result.h"
#include "sphere/json/value.h"

namespace sphere::device {

// An error on its way between `sphere link serve` and a command.
[[nodiscard]] json::Value to_json(const Error& error);

}  // namespace sphere::device
