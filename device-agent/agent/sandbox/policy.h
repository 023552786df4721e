// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "device-agent/agent/sandbox/report.h"
#include "sphere/json/value.h"

namespace sphere::agent {

// How much less than everything a start may have.
//   production  stand-ins that keep the same guarantee
//   strict      none
//   dev         any, and every surface says so; never chosen for a board in state DeviceComplete
//               but for emulated apps, which cannot have more
enum class Policy : std::uint8_t { production, strict, dev };

[[nodiscard]] std::string_view to_text(Policy policy);
[[nodiscard]] std::optional<Policy> parse_policy(std::string_view text);

enum class Controller : std::uint8_t { none, v1, v2 };

// What the running kernel gives the agent, each found by doing it (features.h).
struct KernelFeatures {
  std::string release;
  bool pid_namespace = false, mount_namespace = false, ipc_namespace = false, uts_namespace = false;
  bool network_namespace = false, user_namespace = false, cgroup_namespace = false;
  bool pivot_root = false;
  bool seccomp = false;
  bool mdwe = false;     // PR_SET_MDWE, Linux 6.3.
  int landlock_abi = 0;  // 0: none.
  Controller memory = Controller::none, processes = Controller::none, cpu = Controller::none;
  bool firewall = false;       // nf_tables in the agent's network namespace.
  std::string firewall_fault;  // Why not.
};

[[nodiscard]] json::Value to_json(const KernelFeatures& features);

// What one app asks of the sandbox.
struct SandboxNeed {
  bool network = false;   // AllowedConnections or server ports.
  bool emulated = false;  // Runs in qemu-user.
  bool rootless = false;  // The agent is no root.
  bool debug = false;     // Starts under the debugger.
};

// One layer for one app on this kernel, before anything is started.
struct LayerVerdict {
  std::string_view id;
  LayerState state = LayerState::enforced;
  bool refused = false;  // The policy does not take it.
  std::string detail = {};
  std::string fix = {};  // What to change, where the state is not `enforced`.
};

// The layers of kLayerNames in their order. A pure function.
[[nodiscard]] std::vector<LayerVerdict> assess(const KernelFeatures& features,
                                               const SandboxNeed& need, Policy policy);

// The first refused one, or null.
[[nodiscard]] const LayerVerdict* refusal_of(const std::vector<LayerVerdict>& verdicts);

}  // namespace sphere::agent
