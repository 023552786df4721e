// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <sys/types.h>

#include "sphere/core/descriptor.h"
#include "sphere/core/process.h"
#include "sphere/core/result.h"

namespace sphere::virtual_board {

// What sphered is started with.
struct AgentPlan {
  std::filesystem::path program;
  std::filesystem::path directory;    // The board's: sphered keeps its state there.
  std::filesystem::path runtime;      // For sockets.
  std::filesystem::path sdk_runtime;  // Libraries of apps.
  int unix_listener = -1;
  int tcp_listener = -1;  // -1: none.
};

// A running sphered with our ends of its link and of its output.
struct AgentProcess {
  ChildProcess process;
  Descriptor link;
  Descriptor output;  // Read end; does not block.
};

// Starts sphered as board_link.h says. It gets SIGKILL when sphere-board ends. Errors: as
// ChildProcess::start().
[[nodiscard]] Result<AgentProcess> start_agent(const AgentPlan& plan);

// Makes this process the parent of what outlives its own parent below us, so that nothing that
// sphered started can escape power-off. Errors: io.
[[nodiscard]] Result<void> adopt_orphans();

// Collects one ended child other than `except`; false when there is none.
bool reap_orphan(pid_t except);

// Kills and collects all children, theirs included as they come to us. At most a second.
void end_all_children();

// "exit status 3", "signal 9".
[[nodiscard]] std::string describe(const ExitStatus& status);

}  // namespace sphere::virtual_board
