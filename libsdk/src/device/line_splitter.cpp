// SPDX-License-Identifier: MIT
#include "libsdk/src/device/line_splitter.h"

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "sphere/core/result.h"
#include "sphere/core/text.h"

namespace sphere::device {

Result<bool> LineSplitter::add(std::string_view piece,
                               const std::function<Result<bool>(std::string_view)>& take) {
  while (!piece.empty()) {
    const std::size_t end = piece.find('\n');
    const std::string_view part = piece.substr(0, end);
    if (part.size() > limit_ - rest_.size()) {
      return fail(
          Errc::too_large,
          "a line of the device's answer has more than " + std::to_string(limit_) + " bytes",
          {.reason = "device.error"});
    }
    rest_.append(part);
    if (end == std::string_view::npos) {
      break;
    }
    piece.remove_prefix(end + 1);
    const std::string line = std::exchange(rest_, {});
    if (trim(line).empty()) {
      continue;
    }
    SPHERE_TRY_ASSIGN(const bool more, take(line));
    if (!more) {
      return false;
    }
  }
  return true;
}

}  // namespace sphere::device
