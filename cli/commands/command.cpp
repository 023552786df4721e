// SPDX-License-Identifier: MIT
#include "cli/commands/command.h"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sphere::cli {

std::optional<std::string> Arguments::value(std::string_view name) const {
  const auto found = values.find(name);
  if (found == values.end() || found->second.empty()) {
    return std::nullopt;
  }
  return found->second.back();
}

std::vector<std::string> Arguments::list(std::string_view name) const {
  const auto found = values.find(name);
  return found == values.end() ? std::vector<std::string>{} : found->second;
}

std::string Arguments::positional(std::size_t index) const {
  return index < positionals.size() ? positionals[index] : std::string{};
}

}  // namespace sphere::cli
