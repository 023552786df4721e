// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <filesystem>
#include <sys/types.h>
#include <utility>
#include <vector>

#include <tl/expected.hpp>

#include "device-agent/agent/sandbox/step.h"

namespace sphere::agent {

struct Spawn {
  std::filesystem::path program;  // Gets no argument and no environment.
  unsigned namespaces = 0;        // CLONE_NEW...
  // Descriptors it gets at these numbers, at most kMostPassed: {ours, its}. All others must be
  // close-on-exec.
  std::vector<std::pair<int, int>> pass = {};
};
inline constexpr std::size_t kMostPassed = 16;

// Starts a program as the first process of new namespaces. It is killed when the thread that calls
// this ends. No copy of this process is made on the way, not even of its page tables.
[[nodiscard]] tl::expected<pid_t, StepFailure> spawn(const Spawn& wish);

}  // namespace sphere::agent
