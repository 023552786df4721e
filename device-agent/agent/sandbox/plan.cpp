// SPDX-License-Identifier: MIT
#include "device-agent/agent/sandbox/plan.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <utility>
#include <vector>

#include "sphere/core/result.h"
#include "sphere/json/value.h"

namespace sphere::agent {

namespace {

json::Value ports_to_json(const std::vector<std::uint16_t>& ports) {
  json::Value list{json::Array{}};
  for (const auto port : ports) {
    list.push(static_cast<std::int64_t>(port));
  }
  return list;
}

json::Value texts_to_json(const std::vector<std::string>& texts) {
  json::Value list{json::Array{}};
  for (const auto& text : texts) {
    list.push(text);
  }
  return list;
}

std::vector<std::string> texts_from_json(const json::Value* list) {
  std::vector<std::string> texts;
  if (list == nullptr) {
    return texts;
  }
  for (const auto& entry : list->items()) {
    if (const auto* text = entry.string()) {
      texts.push_back(*text);
    }
  }
  return texts;
}

void read_switches(const json::Value& value, Plan& plan) {
  const auto flag = [&](std::string_view name) { return value.boolean_at(name).value_or(false); };
  plan.user_namespace = flag("userNamespace");
  plan.pivot_root = flag("pivotRoot");
  plan.watch_crashes = flag("watchCrashes");
  plan.debug = flag("debug");
  plan.mdwe = flag("mdwe");
  plan.landlock_abi = static_cast<int>(value.integer_at("landlockAbi").value_or(0));
  plan.network = flag("network");
  plan.connects = flag("connects");
  plan.resolver = value.string_at("resolver").value_or(plan.resolver);
  plan.groups = static_cast<std::size_t>(value.integer_at("groups").value_or(0));
  plan.filter_bytes = static_cast<std::size_t>(value.integer_at("filterBytes").value_or(0));
  plan.address_space_bytes =
      static_cast<std::uint64_t>(value.integer_at("addressSpaceBytes").value_or(0));
  if (const auto* ports = value.find("tcpServerPorts")) {
    for (const auto& port : ports->items()) {
      plan.tcp_server_ports.push_back(static_cast<std::uint16_t>(port.integer().value_or(0)));
    }
  }
}

}  // namespace

json::Value to_json(const Plan& plan) {
  return json::Value{}
      .set("componentId", plan.component_id)
      .set("uid", static_cast<std::int64_t>(plan.uid))
      .set("rootless", plan.rootless)
      .set("agent", static_cast<std::int64_t>(plan.agent))
      .set("staging", plan.staging.string())
      .set("libraries", plan.libraries.string())
      .set("entryPoint", plan.entry_point)
      .set("arguments", texts_to_json(plan.arguments))
      .set("emulated", plan.emulated)
      .set("fileBytes", plan.file_bytes)
      .set("userNamespace", plan.user_namespace)
      .set("pivotRoot", plan.pivot_root)
      .set("watchCrashes", plan.watch_crashes)
      .set("debug", plan.debug)
      .set("mdwe", plan.mdwe)
      .set("landlockAbi", plan.landlock_abi)
      .set("network", plan.network)
      .set("connects", plan.connects)
      .set("tcpServerPorts", ports_to_json(plan.tcp_server_ports))
      .set("resolver", plan.resolver)
      .set("groups", static_cast<std::int64_t>(plan.groups))
      .set("addressSpaceBytes", plan.address_space_bytes)
      .set("filterBytes", static_cast<std::int64_t>(plan.filter_bytes));
}

Result<Plan> plan_from_json(const json::Value& value) {
  const auto uid = value.integer_at("uid");
  const auto agent = value.integer_at("agent");
  const auto file_bytes = value.integer_at("fileBytes");
  auto component = value.string_at("componentId");
  auto entry = value.string_at("entryPoint");
  const auto staging = value.string_at("staging");
  if (!uid || !agent || !file_bytes || !component || !entry || !staging) {
    return fail(Errc::corrupt, "incomplete sandbox plan");
  }
  Plan plan{.component_id = std::move(*component),
            .uid = static_cast<std::uint32_t>(*uid),
            .rootless = value.boolean_at("rootless").value_or(false),
            .agent = static_cast<pid_t>(*agent),
            .staging = *staging,
            .libraries = value.string_at("libraries").value_or(""),
            .entry_point = std::move(*entry),
            .arguments = texts_from_json(value.find("arguments")),
            .emulated = value.boolean_at("emulated").value_or(false),
            .file_bytes = static_cast<std::uint64_t>(*file_bytes)};
  read_switches(value, plan);
  return plan;
}

std::string image_path(const Plan& plan) { return "/mnt/apps/" + plan.component_id; }

std::vector<PlannedMount> planned_mounts(const Plan& plan) {
  std::vector<PlannedMount> mounts = {
      {.path = "/",
       .type = "tmpfs",
       .options = {"ro", "nosuid", "nodev", "noexec"},
       .sealed = true},
      {.path = image_path(plan),
       .type = "tmpfs",
       .options = {"ro", "nosuid", "nodev"},
       .sealed = true},
      {.path = "/dev", .type = "tmpfs", .options = {"ro", "nosuid", "noexec"}, .sealed = true},
      {.path = "/dev/null", .type = "", .options = {"ro", "nosuid", "noexec"}},
      {.path = "/dev/zero", .type = "", .options = {"ro", "nosuid", "noexec"}},
      {.path = "/dev/urandom", .type = "", .options = {"ro", "nosuid", "noexec"}},
      {.path = "/tmp", .type = "tmpfs", .options = {"rw", "nosuid", "nodev", "noexec"}},
      {.path = "/proc", .type = "proc", .options = {"ro", "nosuid", "nodev", "noexec"}},
  };
  if (!plan.libraries.empty()) {
    mounts.push_back({.path = "/lib", .type = "", .options = {"ro", "nosuid", "nodev"}});
    mounts.push_back({.path = "/usr/lib", .type = "", .options = {"ro", "nosuid", "nodev"}});
  }
  return mounts;
}

}  // namespace sphere::agent
