// SPDX-License-Identifier: MIT
#pragma once

#include <sys/types.h>

#include "device-agent/agent/sandbox/faults.h"
#include "device-agent/agent/sandbox/plan.h"

namespace sphere::agent {

// What the steps before have to say to the agent, and what they leave to this one.
struct AppStart {
  int sysctl = -1;       // /proc/sys/user of the machine (O_PATH), or negative.
  bool pivoted = false;  // pivot_root() made the root.
  int made_in = -1;      // Descriptor of the v2 group that the app's process was made in.
};

// Makes the process that becomes the app: in its v2 group at once, where the kernel can.
[[nodiscard]] pid_t fork_app(const Plan& plan, AppStart& start, const LauncherFaults& faults);

// The last part of the launcher, in the process that becomes the app. Never returns.
[[noreturn]] void become_app(const Plan& plan, const AppStart& start, const LauncherFaults& faults);

}  // namespace sphere::agent
