// SPDX-License-Identifier: MIT
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sphere::agent {

// The target of a request, decoded once.
struct Target {
  std::string path;                                              // "/app/status/<id>"
  std::string query = {};                                        // As on the wire, without '?'.
  std::vector<std::pair<std::string, std::string>> values = {};  // Of the query, decoded.

  [[nodiscard]] std::optional<std::string> value(std::string_view name) const;
};

// Nothing for a target that names no resource: not starting with '/', with a trailing slash, an
// empty, "." or ".." segment, %00, %2F, a damaged escape, or invalid UTF-8.
[[nodiscard]] std::optional<Target> parse_target(std::string_view text);

}  // namespace sphere::agent
