// SPDX-License-Identifier: MIT
#include "cli/environment/variables.h"

#include <cstdlib>
#include <optional>
#include <string>

namespace sphere::cli {

std::optional<std::string> variable(const char* name) {
  const char* const text = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): nobody sets any
  return text == nullptr ? std::nullopt : std::optional<std::string>{text};
}

std::optional<std::string> filled_variable(const char* name) {
  auto text = variable(name);
  return text && text->empty() ? std::nullopt : text;
}

}  // namespace sphere::cli
