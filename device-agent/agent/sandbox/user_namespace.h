// SPDX-License-Identifier: MIT
#pragma once

#include "device-agent/agent/sandbox/plan.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/result.h"

namespace sphere::agent {

// Makes the user namespace of one app: the app's uid is the only one in it, groups cannot be set,
// and no further user namespaces can be made inside. It holds for all starts of the app, which
// enter it with setns(2). Gives what refers to it (/proc/PID/ns/user). Errors: permission, io;
// layer L2.
[[nodiscard]] Result<Descriptor> make_user_namespace(const Plan& plan);

}  // namespace sphere::agent
