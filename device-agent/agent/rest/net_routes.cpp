// SPDX-License-Identifier: MIT
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "device-agent/agent/logs/diagnostic_log.h"
#include "device-agent/agent/network/interfaces.h"
#include "device-agent/agent/network/proxy.h"
#include "device-agent/agent/refusal.h"
#include "device-agent/agent/rest/answers.h"
#include "device-agent/agent/rest/routes.h"
#include "device-agent/agent/rest/services.h"
#include "sphere/device_api/device_log.h"
#include "sphere/device_api/error_code.h"
#include "sphere/device_api/network.h"
#include "sphere/http/server.h"
#include "sphere/json/value.h"

namespace sphere::agent::net_routes {
namespace {

http::Response malformed(std::string_view key, std::string_view expected) {
  return error_answer(
      {.code = device_api::kJsonInvalid, .message = fmt::format("{} is not {}", key, expected)},
      {.status = 400});
}

void note(Call& call, device_api::LogMessageId message, std::string_view what,
          std::string_view result) {
  call.services->log->write(message,
                            std::move(device_api::LogParameters{}.text(what).text(result)));
}

// Old clients have a text for kJsonInvalid only; the exact code stands in the header.
http::Response proxy_refusal(const Refusal& refusal) {
  if (refusal.code == device_api::kInternal) {
    return error_answer(refusal);
  }
  auto answer =
      error_answer({.code = device_api::kJsonInvalid, .message = refusal.message}, {.status = 400});
  for (auto& [name, value] : answer.headers) {
    if (name == "Sphere-Error") {
      value = std::to_string(refusal.code);
    }
  }
  return answer;
}

}  // namespace

http::Response get_status(Call& call) {
  const auto proxy = call.services->proxy->get();
  device_api::NetStatus status;
  status.proxy = proxy && proxy->enabled ? "enabled" : "disabled";
  return json_answer(device_api::to_json(status));
}

http::Response get_interfaces(Call& call) {
  return json_answer(device_api::to_json(call.services->interfaces->list()));
}

http::Response get_interface(Call& call) {
  const auto found = call.services->interfaces->find(call.tail);
  return found ? json_answer(device_api::to_json(*found))
               : error_answer({.code = device_api::kNotFound,
                               .message = fmt::format("no interface {}", call.tail)});
}

http::Response patch_interface(Call& call) {
  if (!call.services->interfaces->find(call.tail)) {
    return get_interface(call);
  }
  if (call.body.kind() != json::Kind::object) {
    return malformed("the body", "an object");
  }
  InterfaceStore::Change change;
  if (const auto* up = call.body.find("interfaceUp")) {
    if (!up->boolean()) {
      return malformed("interfaceUp", "true or false");
    }
    change.up = up->boolean();
  }
  if (const auto* address = call.body.find("hardwareAddress")) {
    if (address->string() == nullptr) {
      return malformed("hardwareAddress", "a text");
    }
    change.hardware_address = *address->string();
  }
  const auto changed = call.services->interfaces->change(call.tail, change);
  if (!changed) {
    return error_answer(changed.error());
  }
  if (change.up) {
    note(call, device_api::kLogInterface, call.tail, *change.up ? "up" : "down");
  }
  if (change.hardware_address) {
    note(call, device_api::kLogInterface, call.tail, "new hardware address");
  }
  return json_answer(json::Value{json::Object{}});
}

http::Response get_proxy(Call& call) {
  const auto proxy = call.services->proxy->get();
  return json_answer(proxy ? device_api::to_json(*proxy) : json::Value{json::Object{}});
}

http::Response post_proxy(Call& call) {
  auto proxy = read_proxy(call.body);
  if (!proxy) {
    return proxy_refusal(proxy.error());
  }
  if (const auto set = call.services->proxy->set(*proxy); !set) {
    return proxy_refusal(set.error());
  }
  note(call, device_api::kLogProxy, "set", proxy->enabled ? "enabled" : "disabled");
  if (!call.services->proxy->echo_password()) {
    proxy->password.clear();
  }
  return json_answer(device_api::to_json(*proxy));
}

http::Response delete_proxy(Call& call) {
  if (const auto removed = call.services->proxy->remove(); !removed) {
    return error_answer(removed.error());
  }
  note(call, device_api::kLogProxy, "deleted", "none");
  return json_answer(json::Value{json::Object{}});
}

http::Response get_firewall(Call& call) {
  if (!call.services->firewall) {
    return json_answer(json::Value{}.set("rulesets", json::Value{json::Array{}}));
  }
  const auto sets = call.services->firewall();
  return sets ? json_answer(*sets)
              : error_answer(refuse(device_api::kInternal, sets.error()).value());
}

}  // namespace sphere::agent::net_routes
