// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>

#include "cli/context.h"
#include "sphere/device/attached.h"
#include "sphere/json/value.h"

namespace sphere::cli {

// A row of `sphere doctor`: check, result (ok, warn, fail, skip), detail, next.
[[nodiscard]] json::Value doctor_row(std::string name, std::string_view result, std::string detail,
                                     std::string next = {});

// The rungs above the connection, each within 3 s: who the device is (TLS), what it runs, and what
// it permits. Ends at the first that fails.
[[nodiscard]] json::Array device_rungs(const Context& context,
                                       const device::AttachedDevice& device);

}  // namespace sphere::cli
