// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
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
#include "sphere/core/text.h"
#include "sphere/device_api/network.h"
#include "sphere/json/value.h"

namespace sphere::cli {
namespace {

json::Value text_or_null(const std::string& text) {
  return text.empty() ? json::Value{} : json::Value{text};
}

// A board without a radio has only simulated networks, and says so.
void tell_simulated(Context& context, const DeviceSession& session) {
  if (session.device.is_virtual) {
    context.reporter.verbose("wlan0 and eth0 of a virtual board are simulated: they reach nothing");
  }
}

Result<Output> list_interfaces(Context& context, const Arguments& /*arguments*/) {
  SPHERE_TRY_ASSIGN(const auto session, connect_device(context));
  SPHERE_TRY_ASSIGN(const auto interfaces, noted(context, *session, session->rest.interfaces()));
  tell_simulated(context, *session);
  Output output;
  output.data = json::Array{};
  output.columns = {{.key = "interfaceName", .heading = "Interface"},
                    {.key = "interfaceUp", .heading = "Up"},
                    {.key = "connectedToNetwork", .heading = "Connected"},
                    {.key = "ipAcquired", .heading = "IP acquired"},
                    {.key = "connectedToInternet", .heading = "Internet"},
                    {.key = "ipAddresses", .heading = "IP addresses"},
                    {.key = "ipAssignment", .heading = "IP assignment"},
                    {.key = "hardwareAddress", .heading = "Hardware address"},
                    {.key = "simulated", .heading = "Simulated"}};
  for (const auto& interface : interfaces) {
    auto row = device_api::to_json(interface);
    const bool radio = interface.name == "wlan0" || interface.name == "eth0";
    row.set("ipAssignment", text_or_null(interface.ip_assignment))
        .set("hardwareAddress", text_or_null(interface.hardware_address))
        .set("simulated", session->device.is_virtual && radio);
    output.data.push(std::move(row));
  }
  return output;
}

// The device answers an unknown interface as it answers an unknown call.
Result<void> check_interface(DeviceSession& session, const std::string& name) {
  SPHERE_TRY_ASSIGN(const auto interfaces, session.rest.interfaces());
  if (std::ranges::find(interfaces, name, &device_api::NetInterface::name) != interfaces.end()) {
    return {};
  }
  return fail(Errc::not_found, fmt::format("the device has no interface {}", escape_control(name)),
              {.reason = "device.error",
               .value = name,
               .next = "list them: sphere device network list-interfaces"});
}

Result<Output> switch_interface(Context& context, const Arguments& arguments, bool up) {
  SPHERE_TRY_ASSIGN(const auto session, connect_device(context));
  const auto name = arguments.value("interface").value_or("");
  SPHERE_TRY(noted(context, *session, check_interface(*session, name)));
  SPHERE_TRY(noted(context, *session, session->rest.set_interface_up(name, up)));
  Output output{.text = fmt::format("Interface {} is {}.", name, up ? "up" : "down")};
  output.data.set("interfaceName", name).set("interfaceUp", up);
  return output;
}

Result<Output> enable(Context& context, const Arguments& arguments) {
  return switch_interface(context, arguments, true);
}

Result<Output> disable(Context& context, const Arguments& arguments) {
  return switch_interface(context, arguments, false);
}

Result<Output> update_interface(Context& context, const Arguments& arguments) {
  SPHERE_TRY_ASSIGN(const auto session, connect_device(context));
  const auto name = arguments.value("interface").value_or("");
  const auto address = arguments.value("hardware-address").value_or("");
  SPHERE_TRY(noted(context, *session, check_interface(*session, name)));
  SPHERE_TRY(noted(context, *session, session->rest.set_hardware_address(name, address)));
  Output output{.text = fmt::format("Interface {} has the hardware address {}.", name, address)};
  output.data.set("interfaceName", name).set("hardwareAddress", address);
  return output;
}

Result<Output> show_status(Context& context, const Arguments& /*arguments*/) {
  SPHERE_TRY_ASSIGN(const auto session, connect_device(context));
  SPHERE_TRY_ASSIGN(const auto status, noted(context, *session, session->rest.net_status()));
  return Output{
      .data = device_api::to_json(status),
      .columns = {{.key = "deviceAuthenticationIsReady", .heading = "Device authentication ready"},
                  {.key = "networkTimeSync", .heading = "Network time sync"},
                  {.key = "proxy", .heading = "Proxy"}}};
}

Result<Output> show_diagnostics(Context& context, const Arguments& arguments) {
  std::optional<std::int64_t> wanted;
  if (arguments.has("network")) {
    SPHERE_TRY_ASSIGN(wanted, number_option(arguments, "network"));
  }
  SPHERE_TRY_ASSIGN(const auto session, connect_device(context));
  SPHERE_TRY_ASSIGN(const auto failures, noted(context, *session, session->rest.wifi_failures()));
  tell_simulated(context, *session);
  Output output;
  output.data = json::Array{};
  output.columns = {{.key = "timestamp", .heading = "Time"},
                    {.key = "networkId", .heading = "Network"},
                    {.key = "ssid", .heading = "SSID"},
                    {.key = "configState", .heading = "Configuration"},
                    {.key = "connectionState", .heading = "Connection"},
                    {.key = "error", .heading = "Error"},
                    {.key = "certInfo", .heading = "Certificate"}};
  for (const auto& failure : failures) {
    if (!wanted || *wanted == failure.network_id) {
      auto row = device_api::to_json(failure);
      if (!failure.certificate) {
        row.set("certInfo", {});
      }
      output.data.push(std::move(row));
    }
  }
  return output;
}

Result<Output> list_firewall_rules(Context& context, const Arguments& /*arguments*/) {
  SPHERE_TRY_ASSIGN(const auto session, connect_device(context));
  Output output;
  SPHERE_TRY_ASSIGN(output.data, noted(context, *session, session->rest.firewall_rulesets()));
  output.columns = {{.key = "hook", .heading = "Hook"},
                    {.key = "isValid", .heading = "Valid"},
                    {.key = "rules", .heading = "Rules"}};
  return output;
}

std::vector<Column> proxy_columns() {
  return {{.key = "enabled", .heading = "Enabled"},
          {.key = "address", .heading = "Address"},
          {.key = "port", .heading = "Port"},
          {.key = "noProxyAddresses", .heading = "Without proxy"},
          {.key = "authenticationType", .heading = "Authentication"},
          {.key = "username", .heading = "User name"}};
}

Output describe(device_api::Proxy proxy) {
  proxy.password.clear();
  Output output{.data = device_api::to_json(proxy), .columns = proxy_columns()};
  output.data.set("username", text_or_null(proxy.username));
  return output;
}

Result<Output> proxy_apply(Context& context, const Arguments& arguments) {
  device_api::Proxy proxy{.enabled = arguments.has("enable"),
                          .address = arguments.value("address").value_or(""),
                          .no_proxy_addresses = arguments.list("no-proxy-addresses"),
                          .authentication = arguments.value("authentication").value_or(""),
                          .username = arguments.value("username").value_or("")};
  SPHERE_TRY_ASSIGN(proxy.port, number_option(arguments, "port"));
  SPHERE_TRY_ASSIGN(proxy.password, secret_option(arguments, "password"));
  const bool basic = proxy.authentication == "basic";
  if (basic == proxy.username.empty() || basic == proxy.password.empty()) {
    return fail(Errc::invalid_argument,
                basic ? "basic needs --username and --password"
                      : "--username and --password go with --authentication basic only",
                {.reason = "usage.conflict",
                 .value = proxy.authentication,
                 .next = "see: sphere device network proxy apply --help"});
  }
  SPHERE_TRY_ASSIGN(const auto session, connect_device(context));
  SPHERE_TRY(noted(context, *session, session->rest.set_proxy(proxy)));
  return describe(proxy);
}

Result<Output> proxy_show(Context& context, const Arguments& /*arguments*/) {
  SPHERE_TRY_ASSIGN(const auto session, connect_device(context));
  SPHERE_TRY_ASSIGN(const auto proxy, noted(context, *session, session->rest.proxy()));
  if (!proxy) {
    return Output{.data = json::Value{json::Object{}}, .text = "No proxy is set."};
  }
  return describe(*proxy);
}

// The device never gives the password out, so one with a password cannot be switched from here.
Result<Output> proxy_switch(Context& context, bool on) {
  SPHERE_TRY_ASSIGN(const auto session, connect_device(context));
  SPHERE_TRY_ASSIGN(auto proxy, noted(context, *session, session->rest.proxy()));
  if (!proxy) {
    return fail(Errc::not_found, "no proxy is set on the device",
                {.reason = "device.error", .next = "set one: sphere device network proxy apply"});
  }
  if (proxy->enabled != on && proxy->authentication == "basic") {
    return fail(Errc::unsupported, "a proxy with a password is switched by setting it anew",
                {.reason = "device.error",
                 .value = proxy->address,
                 .next = "set it with its password: sphere device network proxy apply"});
  }
  proxy->enabled = on;
  SPHERE_TRY(noted(context, *session, session->rest.set_proxy(*proxy)));
  return describe(*proxy);
}

Result<Output> proxy_enable(Context& context, const Arguments& /*arguments*/) {
  return proxy_switch(context, true);
}

Result<Output> proxy_disable(Context& context, const Arguments& /*arguments*/) {
  return proxy_switch(context, false);
}

Result<Output> proxy_delete(Context& context, const Arguments& /*arguments*/) {
  SPHERE_TRY_ASSIGN(const auto session, connect_device(context));
  SPHERE_TRY(noted(context, *session, session->rest.delete_proxy()));
  return Output{.data = json::Value{json::Object{}}, .text = "The device uses no proxy."};
}

constexpr std::array kCommands = {
    NetCommand{.path = "device network list-interfaces", .run = list_interfaces},
    NetCommand{.path = "device network enable", .run = enable},
    NetCommand{.path = "device network disable", .run = disable},
    NetCommand{.path = "device network update-interface", .run = update_interface},
    NetCommand{.path = "device network show-status", .run = show_status},
    NetCommand{.path = "device network show-diagnostics", .run = show_diagnostics},
    NetCommand{.path = "device network list-firewall-rules", .run = list_firewall_rules},
    NetCommand{.path = "device network proxy apply", .run = proxy_apply},
    NetCommand{.path = "device network proxy show", .run = proxy_show},
    NetCommand{.path = "device network proxy enable", .run = proxy_enable},
    NetCommand{.path = "device network proxy disable", .run = proxy_disable},
    NetCommand{.path = "device network proxy delete", .run = proxy_delete},
};

}  // namespace

std::span<const NetCommand> device_network_net_commands() { return kCommands; }

}  // namespace sphere::cli
