// SPDX-License-Identifier: MIT
#pragma once

#include "sphere/core/result.h"

namespace sphere::agent {

// Gives this process a mount namespace of its own, in which nothing it mounts reaches the rest of
// the machine and whose root directory is a mount point. Without root it first enters a user
// namespace in which the caller's user is uid 0; the result says so (true: rootless). Call before
// any thread exists.
//
// Errors: permission, with the layer and the fix, when the machine allows neither.
[[nodiscard]] Result<bool> enter_private_mounts();

}  // namespace sphere::agent
