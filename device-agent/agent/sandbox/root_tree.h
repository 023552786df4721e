// SPDX-License-Identifier: MIT
#pragma once

#include "device-agent/agent/sandbox/faults.h"
#include "device-agent/agent/sandbox/plan.h"
#include "device-agent/agent/sandbox/step.h"

namespace sphere::agent {

// Completes the tree at plan.staging (app_tree.h) with /tmp and /proc, and makes it the root
// directory of this process. To be called as pid 1 of new PID and mount namespaces, with
// CAP_SYS_ADMIN over them. `pivoted` says whether pivot_root() did it, or a move and chroot() in
// its place.
[[nodiscard]] Step enter_root_tree(const Plan& plan, const LauncherFaults& faults, bool& pivoted);

// Takes away the old root, which lies on top of the new one after a pivot_root(). The kernel makes
// its caller wait; other processes of the mount namespace do not notice.
[[nodiscard]] Step detach_old_root(bool pivoted);

}  // namespace sphere::agent
