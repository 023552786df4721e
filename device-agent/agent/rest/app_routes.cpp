// SPDX-License-Identifier: MIT
#include <cstdint>
#include <functional>
#include <string_view>

#include <fmt/format.h>

#include "device-agent/agent/apps/manager.h"
#include "device-agent/agent/apps/transitions.h"
#include "device-agent/agent/board_state.h"
#include "device-agent/agent/broker/service.h"
#include "device-agent/agent/debug/debug_session.h"
#include "device-agent/agent/refusal.h"
#include "device-agent/agent/rest/access.h"
#include "device-agent/agent/rest/answers.h"
#include "device-agent/agent/rest/routes.h"
#include "device-agent/agent/rest/services.h"
#include "sphere/core/guid.h"
#include "sphere/device_api/bodies.h"
#include "sphere/device_api/error_code.h"
#include "sphere/device_api/network.h"
#include "sphere/http/server.h"
#include "sphere/json/value.h"

namespace sphere::agent::app_routes {
namespace {

http::Response bad_id() { return empty_error(400, device_api::kComponentIdMalformed); }

http::Response state_answer(std::string_view state) {
  return json_answer(json::Value{}.set("state", state));
}

// Runs one of the manager's actions and waits for its end.
Answer<void> await_app(Services& services, const Guid& component,
                       void (AppManager::*action)(const Guid&, const AppManager::Done&)) {
  return await_for(services, kHandlerLimit,
                   [&apps = *services.apps, component, action](const AppManager::Done& done) {
                     (apps.*action)(component, done);
                   });
}

// Beyond what the route asks for: the app's memory is open to whoever debugs it.
http::Response start_debug(Call& call, const Guid& component) {
  auto& services = *call.services;
  if (const auto locked = refuse_access(Access::development, services.state->manufacturing_state(),
                                        call.capabilities)) {
    return *locked == device_api::kDevelopmentNeeded
               ? error_answer({.code = *locked,
                               .message = "debugging needs the appDevelopment capability",
                               .next = "enable development on the board"})
               : empty_error(403, *locked);
  }
  const auto reached = await_app(services, component, &AppManager::start_debug);
  if (!reached) {
    return error_answer(reached.error());
  }
  return json_answer(json::Value{}
                         .set("state", "debugging")
                         .set("gdbPort", static_cast<std::int64_t>(kGdbPort))
                         .set("outPort", static_cast<std::int64_t>(kOutputPort)));
}

struct Quota {
  bool present = false;
  std::int64_t used_kb = 0, limit_kb = 0;
};

}  // namespace

http::Response get_status(Call& call) {
  const auto component = Guid::parse(call.tail);
  if (!component) {
    return bad_id();
  }
  const auto phase =
      call.services->loop->call([&] { return call.services->apps->phase(*component); });
  return state_answer(device_api::to_text(to_app_state(phase)));
}

http::Response patch_status(Call& call) {
  const auto component = Guid::parse(call.tail);
  if (!component) {
    return bad_id();
  }
  const auto trigger = call.body.string_at("trigger");
  if (trigger != "start" && trigger != "stop" && trigger != "startDebug") {
    return empty_error(400, trigger ? device_api::kTriggerUnknown : device_api::kJsonInvalid);
  }
  if (trigger == "startDebug") {
    return start_debug(call, *component);
  }
  const bool start = trigger == "start";
  const auto reached =
      await_app(*call.services, *component, start ? &AppManager::start : &AppManager::stop);
  if (!reached) {
    return error_answer(reached.error());
  }
  return state_answer(start ? "running" : "stopped");
}

http::Response delete_image(Call& call) {
  const auto component = Guid::parse(call.tail);
  if (!component) {
    return bad_id();
  }
  const auto removed = await_app(*call.services, *component, &AppManager::remove);
  return removed ? json_answer(json::Value{json::Object{}}) : error_answer(removed.error());
}

http::Response get_quota(Call& call) {
  const auto component = Guid::parse(call.tail);
  if (!component) {
    return bad_id();
  }
  auto& services = *call.services;
  const auto quota = services.loop->call([&] {
    Quota result{.present = services.apps->phase(*component) != Phase::absent};
    const auto* manifest = services.apps->manifest(*component);
    if (manifest != nullptr && manifest->capabilities.mutable_storage_kb) {
      constexpr std::uint64_t kKilo = 1024;
      const auto bytes = storage_bytes(services.broker->storage_folder(component->text()));
      result.used_kb = static_cast<std::int64_t>((bytes + kKilo - 1) / kKilo);
      result.limit_kb = *manifest->capabilities.mutable_storage_kb;
    }
    return result;
  });
  if (!quota.present) {
    return error_answer({.code = device_api::kAppNotPresent,
                         .message = fmt::format("app {} is not installed", call.tail)},
                        {.status = 404});
  }
  return json_answer(json::Value{}.set("UsageKB", quota.used_kb).set("LimitKB", quota.limit_kb));
}

// The figures of all apps together; who asks for one app finds it in GET /sphere/v1/apps. A process
// has the number that it has in its sandbox, where the app is always 2: the PC's numbers stay
// there.
http::Response get_memory_stats(Call& call) {
  constexpr std::int64_t kAppPid = 2;
  constexpr std::int64_t kKilo = 1024;
  auto& services = *call.services;
  const auto stats = services.loop->call([&] {
    const auto bytes = [&](std::uint32_t attribute) {
      return static_cast<std::int64_t>(services.apps->memory_kb(attribute)) * kKilo;
    };
    device_api::MemoryStats all{
        .current_bytes = bytes(0), .user_bytes = bytes(1), .peak_user_bytes = bytes(2)};
    for (const auto& app : services.apps->list()) {
      if (app.started_at) {
        all.apps.push_back({.component_id = app.component_id, .pids = {kAppPid}});
      }
    }
    return all;
  });
  return json_answer(device_api::to_json(stats));
}

}  // namespace sphere::agent::app_routes
