// SPDX-License-Identifier: MIT
#pragma once

#include "device-agent/agent/options.h"
#include "sphere/core/clock.h"
#include "sphere/core/result.h"

namespace sphere::agent {

// Runs the agent until the board's power goes or a restart was asked for. Gives the exit status:
// board_link::kExitRestart, or 0 after the end of the link. Call on the main thread, before any
// other exists: apps die with the thread that starts them. Errors: what keeps the agent from
// starting.
[[nodiscard]] Result<int> run_agent(const Options& options, const Clock& clock);

}  // namespace sphere::agent
