// SPDX-License-Identifier: MIT
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "libsdk/src/device/enumeration_http.h"

namespace {

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using sphere::device::EnumeratedBoard;
  const sphere::device::EnumerationActions actions = {
      .boards = [] { return std::vector<EnumeratedBoard>{{"192.168.35.2", "1243"}}; },
      .rescan = [] { return std::size_t{1}; }};
  const void* const bytes = data;
  std::string_view rest{static_cast<const char*>(bytes), size};
  while (true) {
    const auto step = answer_enumeration(rest, actions);
    if (step.answer.empty()) {
      require(step.taken == 0 && rest.size() <= 2 * sphere::device::kEnumerationRequestLimit + 4);
      return 0;
    }
    require(step.taken > 0 && step.taken <= rest.size());
    require(step.answer.starts_with("HTTP/1.1 "));
    if (step.close) {
      return 0;
    }
    rest.remove_prefix(step.taken);
  }
}
