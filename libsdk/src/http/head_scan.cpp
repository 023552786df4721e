// SPDX-License-Identifier: MIT
#include "libsdk/src/http/head_scan.h"

#include <cstddef>
#include <string_view>

namespace sphere::http {

namespace {

constexpr std::string_view kForbidden{"\r\n\0", 3};

// The length of the target in "METHOD SP target SP version"; 0 when there are no two blanks.
std::size_t target_length(std::string_view request_line) {
  const std::size_t first = request_line.find(' ');
  const std::size_t second =
      first == std::string_view::npos ? first : request_line.find(' ', first + 1);
  return second == std::string_view::npos ? 0 : second - first - 1;
}

HeadState check_line(std::string_view line, std::size_t index, const HeadLimits& limits) {
  if (index == 0 && target_length(line) > limits.target_bytes) {
    return HeadState::too_large;
  }
  if (index == 0) {
    return line.empty() ? HeadState::malformed : HeadState::complete;
  }
  if (line.starts_with(' ') || line.starts_with('\t')) {
    return HeadState::malformed;
  }
  return index > limits.lines && !line.empty() ? HeadState::too_large : HeadState::complete;
}

}  // namespace

HeadScan scan_head(std::string_view received, const HeadLimits& limits) {
  const std::string_view head = received.substr(0, limits.bytes);
  std::size_t begin = 0;
  for (std::size_t index = 0;; ++index) {
    const std::size_t end = head.find_first_of(kForbidden, begin);
    const bool ends_in_cr =
        end != std::string_view::npos && end + 1 == head.size() && head[end] == '\r';
    if (end == std::string_view::npos || ends_in_cr) {
      return {.state =
                  received.size() >= limits.bytes ? HeadState::too_large : HeadState::incomplete};
    }
    if (head.substr(end, 2) != "\r\n") {
      return {.state = HeadState::malformed};
    }
    const std::string_view line = head.substr(begin, end - begin);
    if (const HeadState state = check_line(line, index, limits); state != HeadState::complete) {
      return {.state = state};
    }
    begin = end + 2;
    if (line.empty()) {
      return {.state = HeadState::complete, .length = begin};
    }
  }
}

}  // namespace sphere::http
