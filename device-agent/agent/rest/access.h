// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "sphere/device_api/error_code.h"

namespace sphere::agent {

// Who may call a route.
enum class Access : std::uint8_t {
  anyone,       // N
  development,  // A: capability 11
  rest,         // R: not DeviceComplete, or capability 11 or 13
};

// Nothing when the call is allowed; else the code of the refusal: kDevelopmentNeeded, or
// kNotAuthorised on a board that is locked.
[[nodiscard]] std::optional<device_api::ErrorCode> refuse_access(
    Access access, std::string_view manufacturing_state,
    const std::vector<std::int64_t>& capabilities);

// Whether a Host header names this board: the wildcard name of public clients, any name below
// devices.sphere.azure.local, 192.168.35.0/24, loopback, or the board's own name. Any port.
[[nodiscard]] bool is_own_host(std::string_view host, std::string_view device_id);

}  // namespace sphere::agent
