// SPDX-License-Identifier: MIT
#pragma once

#include "device-agent/agent/sandbox/plan.h"
#include "device-agent/agent/sandbox/step.h"

namespace sphere::agent {

// The version of the kernel's Landlock interface, 0 without one.
//   1 files (Linux 5.13)  2 rename across directories  3 truncate  4 TCP ports (6.7)
//   5 device ioctls  6 scope of signals and abstract sockets (6.12)
[[nodiscard]] int landlock_abi();

// Gives this process and what it starts the rules of layer L7 for the tree of planned_mounts():
// execution from the package and the libraries only (of an emulated app: of `emulator` only),
// writing in /tmp only, TCP ports as planned, no signals and abstract sockets to the outside. Needs
// no_new_privs.
[[nodiscard]] Step restrict_by_landlock(const Plan& plan, int emulator);

// Refuses every file from now on: to see whether Landlock works.
[[nodiscard]] bool refuse_all_files();

}  // namespace sphere::agent
