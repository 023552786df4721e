// SPDX-License-Identifier: MIT
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string_view>

#include <fmt/format.h>

#include "device-agent/agent/agent.h"
#include "device-agent/agent/options.h"
#include "device-agent/agent/sandbox/check_command.h"
#include "sphere/core/clock.h"
#include "sphere/core/result.h"

namespace {

int report(const sphere::Error& error) {
  fmt::print(stderr, "sphered: {}\n", error.message());
  if (!error.hint().next.empty()) {
    fmt::print(stderr, "sphered: next: {}\n", error.hint().next);
  }
  return EXIT_FAILURE;
}

}  // namespace

int main(int argc, char* argv[]) {
  const std::span<char* const> arguments{argv, static_cast<std::size_t>(argc)};
  if (argc >= 2 && std::string_view{arguments[1]} == "check") {
    return sphere::agent::run_check(arguments.subspan(2));
  }
  const auto options = sphere::agent::parse_options(arguments.subspan(1));
  if (!options) {
    return report(options.error());
  }
  const sphere::SystemClock clock;
  const auto status = sphere::agent::run_agent(*options, clock);
  return status ? *status : report(status.error());
}
