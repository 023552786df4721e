// SPDX-License-Identifier: MIT
#include "device-agent/agent/options.h"

#include <charconv>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>

#include <fmt/format.h>

#include "device-agent/agent/sandbox/policy.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"

namespace sphere::agent {
namespace {

std::optional<int> descriptor_number(std::string_view text) {
  int number = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool whole = error == std::errc{} && end == text.data() + text.size();
  return whole && number > 2 ? std::optional{number} : std::nullopt;
}

Result<void> set_option(Options& options, std::string_view name, const std::string& value) {
  if (name == "--state") {
    options.state = value;
  } else if (name == "--runtime") {
    options.runtime = value;
  } else if (name == "--sdk-runtime") {
    options.sdk_runtime = value;
  } else if (name == "--sandbox-policy") {
    const auto policy = parse_policy(value);
    if (!policy) {
      return fail(Errc::invalid_argument, fmt::format("unknown sandbox policy {}", value),
                  {.next = "use production, strict or dev"});
    }
    options.policy = *policy;
  } else if (name == "--board-link" || name == "--listen") {
    for (const auto& part : split(value, ',')) {
      const auto number = descriptor_number(part);
      if (!number) {
        return fail(Errc::invalid_argument,
                    fmt::format("{} takes numbers of open descriptors, not {}", name, value));
      }
      if (name == "--listen") {
        options.listeners.push_back(*number);
      } else {
        options.board_link = *number;
      }
    }
  } else {
    return fail(Errc::invalid_argument, fmt::format("unknown argument {}", name),
                {.next = "sphered is started by sphere-board"});
  }
  return {};
}

}  // namespace

Result<Options> parse_options(std::span<char* const> arguments) {
  Options options;
  for (std::size_t i = 0; i < arguments.size(); i += 2) {
    if (i + 1 == arguments.size()) {
      return fail(Errc::invalid_argument, fmt::format("{} needs a value", arguments[i]));
    }
    SPHERE_TRY(set_option(options, arguments[i], arguments[i + 1]));
  }
  if (options.state.empty() || options.runtime.empty() || options.sdk_runtime.empty() ||
      options.board_link < 0 || options.listeners.empty()) {
    return fail(Errc::invalid_argument,
                "--state, --runtime, --sdk-runtime, --board-link and --listen are needed",
                {.next = "sphered is started by sphere-board"});
  }
  return options;
}

}  // namespace sphere::agent
