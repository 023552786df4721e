// SPDX-License-Identifier: MIT
#pragma once

#include "device-agent/agent/sandbox/faults.h"

namespace sphere::agent {

// The body of sphere-launch: what stands between the agent and the first instruction of an app.
// Single-threaded; the agent starts it as pid 1 of new namespaces, and it finds its work in the
// descriptors of plan.h. Two processes:
//
//   init  pid 1 of the app's PID namespace: builds the file tree, makes the next process, gives up
//         its rights, waits, reports how the app ended
//   app   pid 2: gives up its rights, reports at the gate, waits for "go", executes the program
//
// The app is not pid 1 itself because the kernel drops signals with a default action for pid 1: an
// unhandled SIGTERM or SIGALRM would not end it.
//
// Should the agent end before the start is over, nobody answers at the gate, and the app's process
// ends; later the parent-death signal ends the init.
//
// Messages on the status socket: {"detached": true} when the old root is gone, which the app's
// process does not wait for but the agent does; {"layer", "what", "errno"} for a refusal, {"exit":
// code} or
// {"signal": number}. On the gate: {"ready": ...}, answered {"go": true}; then the socket
// closes with the exec, or {"layer", ...} says that it failed.
[[nodiscard]] int run_launcher(const LauncherFaults& faults = {});

}  // namespace sphere::agent
