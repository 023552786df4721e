// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <span>

#include "device-agent/agent/sandbox/faults.h"
#include "device-agent/agent/sandbox/plan.h"
#include "device-agent/agent/sandbox/step.h"

namespace sphere::agent {

// Builds the file tree of planned_mounts() on plan.staging and makes it the root directory of this
// process. To be called as pid 1 of new PID and mount namespaces, with CAP_SYS_ADMIN over them.
// `content` is that of plan.files. `pivoted` says whether pivot_root() did it, or a move and
// chroot() in its place.
[[nodiscard]] Step enter_root_tree(const Plan& plan, std::span<const std::byte> content,
                                   const LauncherFaults& faults, bool& pivoted);

}  // namespace sphere::agent
