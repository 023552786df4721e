// SPDX-License-Identifier: MIT
#pragma once

#include <span>

namespace sphere::agent {

// The body of `sphered check [--policy NAME] [--json]`: what the running kernel gives a sandbox,
// layer by layer, for a native app, a networked one and an emulated one. Starts nothing. Exit code
// 0 when a native app would start under the policy (`production` unless another is named), 1 when
// it would be refused, 2 for wrong arguments.
[[nodiscard]] int run_check(std::span<char* const> arguments);

}  // namespace sphere::agent
