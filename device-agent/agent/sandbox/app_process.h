// SPDX-License-Identifier: MIT
#pragma once

#include "device-agent/agent/sandbox/plan.h"

namespace sphere::agent {

// The last part of the launcher, in the process that becomes the app. `sysctl` is /proc/sys/user of
// the machine (O_PATH), or negative; `pivoted` is passed on to the agent. Never returns.
[[noreturn]] void become_app(const Plan& plan, int sysctl, bool pivoted);

}  // namespace sphere::agent
