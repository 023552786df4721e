// SPDX-License-Identifier: MIT
#include "device-agent/agent/rest/access.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "device-agent/agent/board_state.h"
#include "sphere/core/text.h"
#include "sphere/device_api/error_code.h"

namespace sphere::agent {
namespace {

bool is_octet(std::string_view text) {
  constexpr std::size_t kDigits = 3;
  const bool digits =
      !text.empty() && text.size() <= kDigits && std::ranges::all_of(text, [](char character) {
        return character >= '0' && character <= '9';
      });
  return digits && std::stoi(std::string{text}) <= 255;
}

// a.b.c.d that starts with `prefix` ("127.").
bool is_address_in(std::string_view host, std::string_view prefix) {
  const auto parts = split(host, '.');
  return host.starts_with(prefix) && parts.size() == 4 && std::ranges::all_of(parts, is_octet);
}

std::string_view without_port(std::string_view host) {
  if (host.starts_with('[')) {
    return host.substr(0, host.find(']') + 1);
  }
  return host.substr(0, host.find(':'));
}

}  // namespace

std::optional<device_api::ErrorCode> refuse_access(Access access,
                                                   std::string_view manufacturing_state,
                                                   const std::vector<std::int64_t>& capabilities) {
  const auto has = [&](std::int64_t number) {
    return std::ranges::find(capabilities, number) != capabilities.end();
  };
  // A state that cannot be read locks the board.
  const bool open = manufacturing_state == "Blank" || manufacturing_state == "Module1Complete";
  switch (access) {
    case Access::anyone:
      return std::nullopt;
    case Access::development:
      if (has(kAppDevelopment)) {
        return std::nullopt;
      }
      return open ? device_api::kDevelopmentNeeded : device_api::kNotAuthorised;
    case Access::rest:
      if (open || has(kAppDevelopment) || has(kFieldServicing)) {
        return std::nullopt;
      }
      return device_api::kNotAuthorised;
  }
  return device_api::kNotAuthorised;
}

bool is_own_host(std::string_view host, std::string_view device_id) {
  const auto name = to_lower(without_port(host));
  constexpr std::string_view kBelow = ".devices.sphere.azure.local";
  constexpr std::size_t kNameDigits = 32;
  constexpr std::array<std::string_view, 3> kLoopback = {"localhost", "[::1]", "::1"};
  return (name.ends_with(kBelow) && name.size() > kBelow.size()) ||
         is_address_in(name, "192.168.35.") || is_address_in(name, "127.") ||
         std::ranges::find(kLoopback, name) != kLoopback.end() ||
         name == "d-" + std::string{device_id.substr(0, kNameDigits)} + ".device.sphere.internal";
}

}  // namespace sphere::agent
