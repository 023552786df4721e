// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sphere::agent {

struct IpAddress {
  bool v6 = false;
  std::array<std::uint8_t, 16> bytes = {};  // 4 of them for IPv4, the rest zero.
  friend auto operator<=>(const IpAddress&, const IpAddress&) = default;
};

[[nodiscard]] std::optional<IpAddress> parse_address(std::string_view text);
[[nodiscard]] std::string to_text(const IpAddress& address);

// False for what a public name has no business to resolve to: loopback, private (RFC 1918, unique
// local), link-local, shared, multicast, unspecified and reserved ranges, and IPv6 forms of such
// IPv4 addresses.
[[nodiscard]] bool is_public(const IpAddress& address);

}  // namespace sphere::agent
