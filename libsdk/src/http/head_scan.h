// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sphere::http {

struct HeadLimits {
  std::size_t bytes = 8192;
  std::size_t lines = 64;  // Header lines, the request line not counted.
  std::size_t target_bytes = 1024;
};

enum class HeadState : std::uint8_t { incomplete, complete, malformed, too_large };

struct HeadScan {
  HeadState state = HeadState::incomplete;
  std::size_t length = 0;  // Of a complete head, with its empty line.
};

// Looks for the end of a request head at the front of `received` and checks its lines: each ends
// with CR LF, no other CR, LF or NUL occurs, none is folded (RFC 9112, 5.2), the limits hold. What
// a lenient reader would take for another line ending is refused, so that no proxy and this server
// can disagree about where a message ends. The fields themselves are not looked at.
[[nodiscard]] HeadScan scan_head(std::string_view received, const HeadLimits& limits);

}  // namespace sphere::http
