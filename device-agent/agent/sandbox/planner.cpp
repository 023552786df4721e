// SPDX-License-Identifier: MIT
#include "device-agent/agent/sandbox/planner.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "device-agent/agent/sandbox/plan.h"
#include "device-agent/agent/sandbox/policy.h"
#include "device-agent/agent/sandbox/report.h"
#include "sphere/core/result.h"
#include "sphere/manifest/manifest.h"

namespace sphere::agent {
namespace {

constexpr int kNewestLandlock = 6;  // The newest interface whose rules landlock.cpp knows.
// In place of a memory controller, for native apps: program, libraries, stack and 8 MiB more.
constexpr std::uint64_t kAddressSpace = std::uint64_t{64} * 1024 * 1024;

Result<std::vector<LayerVerdict>> choose_policy(Plan& plan, const KernelFeatures& kernel,
                                                const SandboxNeed& need,
                                                const PolicyChoice& choice) {
  plan.policy = choice.wanted;
  auto verdicts = assess(kernel, need, plan.policy);
  if (refusal_of(verdicts) != nullptr && choice.may_be_dev) {
    plan.policy = Policy::dev;
    verdicts = assess(kernel, need, plan.policy);
  }
  if (const auto* refused = refusal_of(verdicts)) {
    return fail(
        Errc::permission,
        fmt::format("sandbox layer {} {} under policy {}: {}", refused->id, layer_name(refused->id),
                    to_text(plan.policy), refused->detail),
        {.reason = "board.sandbox", .value = std::string{refused->id}, .next = refused->fix});
  }
  return verdicts;
}

IoctlClasses ioctl_classes(const manifest::Capabilities& capabilities) {
  return {.gpio = !capabilities.gpio.empty(),
          .uart = !capabilities.uart.empty(),
          .i2c = !capabilities.i2c_master.empty(),
          .spi = !capabilities.spi_master.empty()};
}

}  // namespace

std::uint64_t group_bytes(const MemoryBudget& budget, bool emulated) {
  return budget.app_bytes +
         (emulated ? budget.emulator_overhead_bytes : budget.native_overhead_bytes);
}

bool needs_network(const manifest::Capabilities& capabilities) {
  return !capabilities.allowed_connections.empty() ||
         !capabilities.allowed_tcp_server_ports.empty() ||
         !capabilities.allowed_udp_server_ports.empty();
}

Result<Plan> complete_plan(Plan plan, const manifest::Capabilities& capabilities,
                           const KernelFeatures& kernel, const PolicyChoice& choice) {
  const bool network = needs_network(capabilities);
  SPHERE_TRY_ASSIGN(plan.layers, choose_policy(plan, kernel,
                                               {.network = network,
                                                .emulated = plan.emulated,
                                                .rootless = plan.rootless,
                                                .debug = plan.debug},
                                               choice));
  plan.user_namespace = kernel.user_namespace;
  plan.pivot_root = kernel.pivot_root;
  plan.watch_crashes = !plan.debug;  // There is one tracer, and gdb's stub sees a crash as well.
  plan.mdwe = kernel.mdwe && !plan.emulated;
  plan.landlock_abi = std::min(kernel.landlock_abi, kNewestLandlock);
  // Withheld where nothing would filter it.
  plan.network = network && kernel.firewall && !plan.rootless;
  plan.connects = !capabilities.allowed_connections.empty();
  plan.tcp_server_ports = capabilities.allowed_tcp_server_ports;
  plan.udp_server_ports = capabilities.allowed_udp_server_ports;
  plan.filter = {.network = network,
                 .emulated = plan.emulated,
                 .system_time = false,
                 .ioctls = ioctl_classes(capabilities),
                 .debug_stub = plan.debug && !plan.emulated};
  const bool limited = kernel.memory != Controller::none;
  plan.address_space_bytes = limited || plan.emulated ? 0 : kAddressSpace;
  return plan;
}

}  // namespace sphere::agent
