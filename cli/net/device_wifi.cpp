// SPDX-License-Identifier: MIT
#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "cli/commands/command.h"
#include "cli/context.h"
#include "cli/net/commands.h"
#include "cli/net/connection.h"
#include "cli/net/secret_option.h"
#include "cli/output/output.h"
#include "sphere/core/result.h"
#include "sphere/device_api/network.h"
#include "sphere/json/value.h"

namespace sphere::cli {
namespace {

std::vector<Column> network_columns() {
  return {{.key = "id", .heading = "ID"},
          {.key = "ssid", .heading = "SSID"},
          {.key = "configState", .heading = "Configuration"},
          {.key = "connectionState", .heading = "Connection"},
          {.key = "securityState", .heading = "Security"},
          {.key = "targetedScan", .heading = "Targeted scan"},
          {.key = "configName", .heading = "Name"}};
}

json::Value row_of(const device_api::WifiNetwork& network) {
  auto row = device_api::to_json(network);
  row.set("configName",
          network.config_name.empty() ? json::Value{} : json::Value{network.config_name});
  return row;
}

// The networks of a virtual board are kept and never joined.
void tell_simulated(Context& context, const DeviceSession& session) {
  if (session.device.is_virtual) {
    context.reporter.verbose("the Wi-Fi of a virtual board is simulated: it hears no network");
  }
}

Result<Output> add(Context& context, const Arguments& arguments) {
  device_api::WifiNetwork network{.ssid = arguments.value("ssid").value_or(""),
                                  .targeted_scan = arguments.has("targeted-scan"),
                                  .config_name = arguments.value("config-name").value_or("")};
  network.client_certificate = arguments.value("client-cert-id").value_or("");
  network.root_certificate = arguments.value("root-ca-cert-id").value_or("");
  network.client_identity = arguments.value("client-id").value_or("");
  SPHERE_TRY_ASSIGN(const auto psk, secret_option(arguments, "psk"));
  if (!psk.empty() && !network.client_certificate.empty()) {
    return fail(Errc::invalid_argument, "--psk and --client-cert-id contradict each other",
                {.reason = "usage.conflict", .next = "give only one of them"});
  }
  const char* const without_psk = network.client_certificate.empty() ? "open" : "eaptls";
  network.security_state = psk.empty() ? without_psk : "psk";
  SPHERE_TRY_ASSIGN(const auto session, connect_device(context));
  tell_simulated(context, *session);
  SPHERE_TRY_ASSIGN(const auto added,
                    noted(context, *session, session->rest.add_wifi(network, psk)));
  return Output{.data = row_of(added), .columns = network_columns()};
}

Result<Output> list(Context& context, const Arguments& /*arguments*/) {
  SPHERE_TRY_ASSIGN(const auto session, connect_device(context));
  SPHERE_TRY_ASSIGN(const auto networks, noted(context, *session, session->rest.wifi_networks()));
  tell_simulated(context, *session);
  Output output{.columns = network_columns()};
  output.data = json::Array{};
  for (const auto& network : networks) {
    output.data.push(row_of(network));
  }
  return output;
}

Result<Output> show(Context& context, const Arguments& arguments) {
  SPHERE_TRY_ASSIGN(const auto id, number_option(arguments, "id"));
  SPHERE_TRY_ASSIGN(const auto session, connect_device(context));
  SPHERE_TRY_ASSIGN(const auto network, noted(context, *session, session->rest.wifi_network(id)));
  return Output{.data = row_of(network), .columns = network_columns()};
}

Result<Output> switch_network(Context& context, const Arguments& arguments, bool on) {
  SPHERE_TRY_ASSIGN(const auto id, number_option(arguments, "id"));
  SPHERE_TRY_ASSIGN(const auto session, connect_device(context));
  SPHERE_TRY_ASSIGN(const auto network,
                    noted(context, *session, session->rest.enable_wifi(id, on)));
  Output output{.text = fmt::format("Wi-Fi network {} is {}.", id, network.config_state)};
  output.data.set("id", id).set("configState", network.config_state);
  return output;
}

Result<Output> enable(Context& context, const Arguments& arguments) {
  return switch_network(context, arguments, true);
}

Result<Output> disable(Context& context, const Arguments& arguments) {
  return switch_network(context, arguments, false);
}

Result<Output> forget(Context& context, const Arguments& arguments) {
  SPHERE_TRY_ASSIGN(const auto id, number_option(arguments, "id"));
  SPHERE_TRY_ASSIGN(const auto session, connect_device(context));
  SPHERE_TRY(noted(context, *session, session->rest.forget_wifi(id)));
  Output output{.text = fmt::format("Wi-Fi network {} is forgotten.", id)};
  output.data.set("id", id).set("configState", {});
  return output;
}

Result<Output> scan(Context& context, const Arguments& /*arguments*/) {
  SPHERE_TRY_ASSIGN(const auto session, connect_device(context));
  SPHERE_TRY_ASSIGN(const auto entries, noted(context, *session, session->rest.wifi_scan()));
  tell_simulated(context, *session);
  Output output{.columns = {{.key = "ssid", .heading = "SSID"},
                            {.key = "bssid", .heading = "BSSID"},
                            {.key = "securityState", .heading = "Security"},
                            {.key = "freq", .heading = "Frequency"},
                            {.key = "signalLevel", .heading = "Signal"}}};
  output.data = json::Array{};
  for (const auto& entry : entries) {
    output.data.push(json::Value{}
                         .set("ssid", entry.ssid)
                         .set("bssid", entry.bssid)
                         .set("securityState", entry.security_state)
                         .set("freq", entry.frequency_mhz)
                         .set("signalLevel", entry.signal_level));
  }
  return output;
}

Result<Output> show_status(Context& context, const Arguments& /*arguments*/) {
  SPHERE_TRY_ASSIGN(const auto session, connect_device(context));
  SPHERE_TRY_ASSIGN(const auto status, noted(context, *session, session->rest.wifi_status()));
  const auto optional = [](const std::optional<std::string>& text) {
    return text ? json::Value{*text} : json::Value{};
  };
  Output output{.columns = {{.key = "ssid", .heading = "SSID"},
                            {.key = "configName", .heading = "Name"},
                            {.key = "configState", .heading = "Configuration"},
                            {.key = "connectionState", .heading = "Connection"},
                            {.key = "securityState", .heading = "Security"},
                            {.key = "freq", .heading = "Frequency"},
                            {.key = "mode", .heading = "Mode"},
                            {.key = "keyManagement", .heading = "Key management"},
                            {.key = "wpaState", .heading = "WPA state"},
                            {.key = "ipAddress", .heading = "IP address"},
                            {.key = "macAddress", .heading = "MAC address"},
                            {.key = "powerSavingsState", .heading = "Power savings"},
                            {.key = "simulated", .heading = "Simulated"}}};
  output.data.set("ssid", optional(status.ssid))
      .set("configName", optional(status.config_name))
      .set("configState", status.config_state)
      .set("connectionState", status.connection_state)
      .set("securityState", status.security_state)
      .set("freq", status.frequency_mhz ? json::Value{*status.frequency_mhz} : json::Value{})
      .set("mode", status.mode)
      .set("keyManagement", status.key_management)
      .set("wpaState", status.wpa_state)
      .set("ipAddress", optional(status.ip_address))
      .set("macAddress", status.hardware_address)
      .set("powerSavingsState", status.power_savings)
      .set("simulated", session->device.is_virtual);
  return output;
}

Result<Output> reload_config(Context& context, const Arguments& /*arguments*/) {
  SPHERE_TRY_ASSIGN(const auto session, connect_device(context));
  SPHERE_TRY(noted(context, *session, session->rest.reload_wifi()));
  return Output{.data = json::Value{json::Object{}},
                .text = "The device has read its Wi-Fi networks again."};
}

constexpr std::array kCommands = {
    NetCommand{.path = "device wifi add", .run = add},
    NetCommand{.path = "device wifi list", .run = list},
    NetCommand{.path = "device wifi show", .run = show},
    NetCommand{.path = "device wifi enable", .run = enable},
    NetCommand{.path = "device wifi disable", .run = disable},
    NetCommand{.path = "device wifi forget", .run = forget},
    NetCommand{.path = "device wifi scan", .run = scan},
    NetCommand{.path = "device wifi show-status", .run = show_status},
    NetCommand{.path = "device wifi reload-config", .run = reload_config},
};

}  // namespace

std::span<const NetCommand> device_wifi_net_commands() { return kCommands; }

}  // namespace sphere::cli
