// SPDX-License-Identifier: MIT
#include <charconv>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "device-agent/agent/logs/diagnostic_log.h"
#include "device-agent/agent/network/interfaces.h"
#include "device-agent/agent/network/wifi.h"
#include "device-agent/agent/refusal.h"
#include "device-agent/agent/rest/answers.h"
#include "device-agent/agent/rest/routes.h"
#include "device-agent/agent/rest/services.h"
#include "sphere/device_api/device_log.h"
#include "sphere/device_api/error_code.h"
#include "sphere/device_api/network.h"
#include "sphere/http/server.h"
#include "sphere/json/value.h"

namespace sphere::agent::wifi_routes {
namespace {

// Before any other check of the calls that need the radio.
std::optional<http::Response> refuse_if_down(const Call& call) {
  if (call.services->interfaces->wifi_up()) {
    return std::nullopt;
  }
  return error_answer({.code = device_api::kWifiDown,
                       .message = "interface wlan0 is down",
                       .next = "switch it on: sphere device network enable --interface wlan0"});
}

// The number of a network; nothing for a text that is none, which names no network.
std::optional<std::int64_t> number_of(const std::string& text) {
  std::int64_t number = -1;
  const char* const end = std::to_address(text.end());
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  return error == std::errc{} && stop == end && number >= 0 ? std::optional{number} : std::nullopt;
}

http::Response no_network(const std::string& id) {
  return error_answer({.code = device_api::kWifiNotFound,
                       .message = fmt::format("no Wi-Fi network {}", id),
                       .next = "list them: sphere device wifi list"});
}

void note(Call& call, std::int64_t id, std::string_view result) {
  call.services->log->write(
      device_api::kLogWifi,
      std::move(device_api::LogParameters{}.text(std::to_string(id)).text(result)));
}

}  // namespace

http::Response list_networks(Call& call) {
  if (auto down = refuse_if_down(call)) {
    return *std::move(down);
  }
  json::Value values{json::Array{}};
  for (const auto& network : call.services->wifi->list()) {
    values.push(device_api::to_json(network));
  }
  return json_answer(json::Value{}.set("values", std::move(values)));
}

http::Response post_network(Call& call) {
  if (auto down = refuse_if_down(call)) {
    return *std::move(down);
  }
  const auto request = read_wifi_request(call.body);
  if (!request) {
    return error_answer(request.error());
  }
  const auto added = call.services->wifi->add(*request);
  if (!added) {
    return error_answer(added.error());
  }
  note(call, added->id, "added");
  return json_answer(device_api::to_json(*added), 201);
}

http::Response get_network(Call& call) {
  if (auto down = refuse_if_down(call)) {
    return *std::move(down);
  }
  const auto id = number_of(call.tail);
  const auto network = id ? call.services->wifi->find(*id) : std::nullopt;
  return network ? json_answer(device_api::to_json(*network)) : no_network(call.tail);
}

http::Response patch_network(Call& call) {
  if (auto down = refuse_if_down(call)) {
    return *std::move(down);
  }
  // The length of a PSK is looked at before the network is.
  const auto change = read_wifi_change(call.body);
  if (!change) {
    return error_answer(change.error());
  }
  const auto id = number_of(call.tail);
  if (!id) {
    return no_network(call.tail);
  }
  const auto changed = call.services->wifi->change(*id, *change);
  if (!changed) {
    return error_answer(changed.error());
  }
  note(call, *id, changed->config_state);
  return json_answer(device_api::to_json(*changed));
}

http::Response delete_network(Call& call) {
  if (auto down = refuse_if_down(call)) {
    return *std::move(down);
  }
  const auto id = number_of(call.tail);
  if (!id) {
    return no_network(call.tail);
  }
  if (const auto removed = call.services->wifi->remove(*id); !removed) {
    return error_answer(removed.error());
  }
  note(call, *id, "forgotten");
  return json_answer(json::Value{json::Object{}});
}

// The simulated radio tries no connection, so none has failed.
http::Response list_failures(Call& call) {
  if (auto down = refuse_if_down(call)) {
    return *std::move(down);
  }
  return json_answer(json::Value{}.set("values", json::Value{json::Array{}}));
}

http::Response get_failure(Call& call) {
  if (auto down = refuse_if_down(call)) {
    return *std::move(down);
  }
  return no_network(call.tail);
}

http::Response get_interface(Call& call) {
  const auto wifi = call.services->interfaces->find("wlan0");
  device_api::WifiStatus status;
  status.hardware_address = wifi ? wifi->hardware_address : "";
  status.wpa_state = wifi && wifi->up ? "DISCONNECTED" : "INTERFACE_DISABLED";
  status.power_savings = call.services->wifi->power_savings() ? "enabled" : "disabled";
  return json_answer(device_api::to_json(status));
}

http::Response patch_interface(Call& call) {
  const auto* reload = call.body.find("reloadConfig");
  const auto* savings = call.body.find("enablePowerSavings");
  const bool wrong_kind = call.body.kind() != json::Kind::object;
  if (wrong_kind || (reload != nullptr && !reload->boolean())) {
    return error_answer(
        {.code = device_api::kJsonInvalid, .message = "reloadConfig is not true or false"},
        {.status = 400});
  }
  if (savings != nullptr && !savings->boolean()) {
    return empty_error(400, device_api::kPowerSavingsInvalid);
  }
  if (savings != nullptr) {
    const auto set = call.services->wifi->set_power_savings(savings->boolean().value_or(false));
    if (!set) {
      return error_answer(set.error());
    }
  }
  if (reload != nullptr && reload->boolean().value_or(false)) {
    call.services->wifi->reload();
  }
  return json_answer(json::Value{json::Object{}});
}

http::Response scan(Call& call) {
  if (auto down = refuse_if_down(call)) {
    return *std::move(down);
  }
  return json_answer(device_api::to_json(std::vector<device_api::WifiScanEntry>{}));
}

}  // namespace sphere::agent::wifi_routes
