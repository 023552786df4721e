// SPDX-License-Identifier: MIT
#include "device-agent/agent/sandbox/check_command.h"

#include <array>
#include <cstdio>
#include <optional>
#include <span>
#include <string_view>
#include <unistd.h>
#include <vector>

#include <fmt/format.h>

#include "device-agent/agent/sandbox/cgroup.h"
#include "device-agent/agent/sandbox/features.h"
#include "device-agent/agent/sandbox/firewall.h"
#include "device-agent/agent/sandbox/policy.h"
#include "device-agent/agent/sandbox/private_mounts.h"
#include "device-agent/agent/sandbox/report.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/json/value.h"

namespace sphere::agent {
namespace {

constexpr int kRefused = 1;
constexpr int kUsage = 2;

struct Wish {
  Policy policy = Policy::production;
  bool json = false;
};

std::optional<Wish> read_arguments(std::span<char* const> arguments) {
  Wish wish;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string_view argument{arguments[i]};
    if (argument == "--json") {
      wish.json = true;
    } else if (argument == "--policy" && i + 1 < arguments.size()) {
      const auto policy = parse_policy(arguments[++i]);
      if (!policy) {
        return std::nullopt;
      }
      wish.policy = *policy;
    } else {
      return std::nullopt;
    }
  }
  return wish;
}

struct Machine {
  KernelFeatures kernel;
  bool rootless = false;
};

Result<Machine> look_at_machine() {
  SPHERE_TRY_ASSIGN(const bool rootless, enter_private_mounts());
  SPHERE_TRY_ASSIGN(const auto folder, TemporaryDirectory::create());
  const auto groups = AgentGroups::find();
  Machine machine{.kernel = probe_kernel(folder.path()), .rootless = rootless};
  machine.kernel.memory = groups.tree().memory();
  machine.kernel.processes = groups.tree().processes();
  machine.kernel.cpu = groups.tree().cpu();
  machine.kernel.firewall_fault = rootless ? "the agent is no root" : probe_firewall();
  machine.kernel.firewall = machine.kernel.firewall_fault.empty();
  return machine;
}

std::string_view to_text(LayerState state) {
  switch (state) {
    case LayerState::enforced:
      return "present";
    case LayerState::fallback:
      return "fallback";
    case LayerState::absent:
      return "missing";
  }
  return "missing";
}

json::Value rows(const std::vector<LayerVerdict>& verdicts) {
  json::Value list{json::Array{}};
  for (const auto& verdict : verdicts) {
    list.push(json::Value{}
                  .set("id", verdict.id)
                  .set("name", layer_name(verdict.id))
                  .set("state", to_text(verdict.state))
                  .set("refused", verdict.refused)
                  .set("detail", verdict.detail)
                  .set("fix", verdict.fix));
  }
  return list;
}

void print_table(std::string_view title, const std::vector<LayerVerdict>& verdicts) {
  fmt::print("{}\n", title);
  for (const auto& verdict : verdicts) {
    fmt::print("  {:4} {:18} {:9} {}{}\n", verdict.id, layer_name(verdict.id),
               to_text(verdict.state), verdict.refused ? "refused: " : "", verdict.detail);
    if (!verdict.fix.empty()) {
      fmt::print("  {:34}to have it: {}\n", "", verdict.fix);
    }
  }
}

}  // namespace

int run_check(std::span<char* const> arguments) {
  const auto wish = read_arguments(arguments);
  if (!wish) {
    fmt::print(stderr, "sphered: usage: sphered check [--policy production|strict|dev] [--json]\n");
    return kUsage;
  }
  const auto machine = look_at_machine();
  if (!machine) {
    fmt::print(stderr, "sphered: {}\nsphered: next: {}\n", machine.error().message(),
               machine.error().hint().next);
    return kRefused;
  }
  const auto& [kernel, rootless] = *machine;
  const auto native = assess(kernel, {.rootless = rootless}, wish->policy);
  const auto networked = assess(kernel, {.network = true, .rootless = rootless}, wish->policy);
  const auto emulated = assess(kernel, {.emulated = true, .rootless = rootless}, Policy::dev);
  if (wish->json) {
    fmt::print("{}\n", json::to_compact(json::Value{}
                                            .set("policy", sphere::agent::to_text(wish->policy))
                                            .set("features", to_json(kernel))
                                            .set("native", rows(native))
                                            .set("networked", rows(networked))
                                            .set("emulated", rows(emulated))));
  } else {
    fmt::print("Kernel {}\n", kernel.release);
    print_table(fmt::format("A native app under policy {}:", sphere::agent::to_text(wish->policy)),
                native);
    for (const auto& verdict : networked) {
      if (verdict.id == "L11") {
        fmt::print("An app with a network capability, L11: {}\n", verdict.detail);
      }
    }
    print_table("An emulated app, policy dev:", emulated);
  }
  return refusal_of(native) == nullptr ? 0 : kRefused;
}

}  // namespace sphere::agent
