// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>
#include <span>
#include <vector>

#include "device-agent/agent/sandbox/policy.h"
#include "sphere/core/result.h"

namespace sphere::agent {

// The command line of sphered: --state DIR --runtime DIR --sdk-runtime DIR --board-link N
// --listen N[,N], all needed, and [--sandbox-policy NAME].
struct Options {
  std::filesystem::path state;
  std::filesystem::path runtime;
  std::filesystem::path sdk_runtime;
  Policy policy = Policy::production;  // --sandbox-policy production|strict|dev
  int board_link = -1;
  std::vector<int> listeners;
};

// Error: invalid_argument, naming the argument.
[[nodiscard]] Result<Options> parse_options(std::span<char* const> arguments);

}  // namespace sphere::agent
