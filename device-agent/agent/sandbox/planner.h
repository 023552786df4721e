// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "device-agent/agent/sandbox/plan.h"
#include "device-agent/agent/sandbox/policy.h"
#include "sphere/core/result.h"
#include "sphere/manifest/manifest.h"

namespace sphere::agent {

// Which policies a start may have.
struct PolicyChoice {
  Policy wanted = Policy::production;
  // `dev` may take the place of `wanted` where the kernel or the app cannot have it.
  bool may_be_dev = true;
};

// What the RAM of an app may be, by docs/sandbox.md.
struct MemoryBudget {
  std::uint64_t app_bytes = std::uint64_t{256} * 1024;
  // What the kernel charges a small program beyond its heap: page tables, kernel stack, code.
  std::uint64_t native_overhead_bytes = std::uint64_t{320} * 1024;
  std::uint64_t emulator_overhead_bytes = std::uint64_t{16} * 1024 * 1024;
};

[[nodiscard]] std::uint64_t group_bytes(const MemoryBudget& budget, bool emulated);

// Whether an app with these shares the device's network, behind the firewall.
[[nodiscard]] bool needs_network(const manifest::Capabilities& capabilities);

// Fills what the capabilities, the kernel and the policy decide: `plan` has the rest already. A
// pure function. Error: permission (board.sandbox) whose value is the refused layer.
[[nodiscard]] Result<Plan> complete_plan(Plan plan, const manifest::Capabilities& capabilities,
                                         const KernelFeatures& kernel, const PolicyChoice& choice);

}  // namespace sphere::agent
