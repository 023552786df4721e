// SPDX-License-Identifier: MIT
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

#include "device-agent/agent/sandbox/app_tree.h"
#include "device-agent/agent/sandbox/cgroup.h"
#include "device-agent/agent/sandbox/plan.h"
#include "device-agent/agent/sandbox/report.h"

namespace sphere::agent {

// What the process at the gate says about steps that cannot be seen from outside.
struct ChildFacts {
  bool user_namespace = false;
  bool groups_dropped = false;
  bool nested_users_refused = false;
  bool pivoted = false;
  bool mdwe = false;
  bool landlock = false;
};

// What the agent itself has set up for the app.
struct Evidence {
  // What is about to be executed, in the tree of verified bytes; nothing: not compared.
  std::optional<FileIdentity> program = {};
  const AppGroup* group = nullptr;
  std::string_view firewall = {};  // The app's rules, read back.
};

// Compares the process `pid`, which waits at the start gate, with `plan`, as the kernel shows it in
// /proc and as `evidence` has the rest. Fills the layers of the report; the last, L13, names what
// differs, and `passed` is false then.
[[nodiscard]] SandboxReport self_check(const Plan& plan, pid_t pid, const ChildFacts& facts,
                                       const Evidence& evidence);

// One line of /proc/PID/mountinfo.
struct MountLine {
  std::string path, type;
  std::vector<std::string> options;
  std::vector<std::string> of_superblock = {};
};
[[nodiscard]] std::vector<MountLine> parse_mountinfo(std::string_view text);

// How `found` differs from what `plan` wants, and in which layer: "" when it does not.
struct MountDifference {
  std::string_view layer = "L4";
  std::string what = {};
};
[[nodiscard]] MountDifference compare_mounts(const Plan& plan, const std::vector<MountLine>& found);

}  // namespace sphere::agent
