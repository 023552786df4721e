// SPDX-License-Identifier: MIT
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sphere/core/text.h"

namespace sphere::http {

using Headers = std::vector<std::pair<std::string, std::string>>;

// The first header of that name, compared without case.
[[nodiscard]] inline std::optional<std::string> find_header(const Headers& headers,
                                                            std::string_view name) {
  for (const auto& [key, value] : headers) {
    if (to_lower(key) == to_lower(name)) {
      return value;
    }
  }
  return std::nullopt;
}

}  // namespace sphere::http
