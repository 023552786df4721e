// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "sphere/core/result.h"

namespace sphere::image {

// Bytes that do not follow the format: "`part` at offset N: `what` (`value`)"; the value is not
// repeated when `what` holds it.
[[nodiscard]] inline tl::unexpected<Error> corrupt(std::string_view part, std::size_t offset,
                                                   std::string_view what, std::string value = {}) {
  auto message = fmt::format("{} at offset {}: {}", part, offset, what);
  if (what.find(value) == std::string_view::npos) {
    message += fmt::format(" ({})", value);
  }
  return fail(Errc::corrupt, std::move(message),
              {.reason = "package.corrupt",
               .value = std::move(value),
               .next = "get or build the package again"});
}

[[nodiscard]] inline tl::unexpected<Error> unsupported(std::string message,
                                                       std::string value = {}) {
  return fail(Errc::unsupported, std::move(message),
              {.reason = "package.unsupported", .value = std::move(value)});
}

[[nodiscard]] inline tl::unexpected<Error> too_large(std::string message, std::string value = {}) {
  return fail(Errc::too_large, std::move(message),
              {.reason = "package.too-large", .value = std::move(value)});
}

}  // namespace sphere::image
