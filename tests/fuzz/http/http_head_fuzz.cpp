// SPDX-License-Identifier: MIT
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "libsdk/src/http/head_scan.h"

namespace {

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using sphere::http::HeadState;
  const void* const bytes = data;
  const std::string_view text{static_cast<const char*>(bytes), size};
  constexpr sphere::http::HeadLimits kLimits{.bytes = 256, .lines = 4, .target_bytes = 32};
  const auto scan = sphere::http::scan_head(text, kLimits);
  if (scan.state == HeadState::complete) {
    // The head ends with its first empty line, and what follows does not matter.
    require(scan.length <= text.size() && scan.length <= kLimits.bytes);
    const std::string_view head = text.substr(0, scan.length);
    require(head.find("\r\n\r\n") == head.size() - 4);
    require(sphere::http::scan_head(head, kLimits).state == HeadState::complete);
  } else if (scan.state == HeadState::incomplete) {
    require(text.size() < kLimits.bytes);
  } else if (!text.empty()) {
    // What is refused stays refused when more comes; it was not refused too early to know.
    require(scan.length == 0);
  }
  return 0;
}
