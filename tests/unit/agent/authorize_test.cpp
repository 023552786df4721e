// SPDX-License-Identifier: MIT
#include "device-agent/agent/broker/authorize.h"

#include <array>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "sphere/manifest/manifest.h"
#include "tests/support/test_package.h"

namespace {

using namespace sphere;         // NOLINT(google-build-using-namespace): test
using namespace sphere::agent;  // NOLINT(google-build-using-namespace): test

constexpr std::int64_t kPin = 8;

struct Grant {
  std::string name;
  std::function<void(manifest::Capabilities&)> give;
};

// Every capability of a manifest, alone.
std::vector<Grant> grants() {
  using Caps = manifest::Capabilities;
  const manifest::PeripheralRef eight{.text = "8", .number = kPin};
  return {
      {"none", [](Caps&) {}},
      {"Gpio", [=](Caps& caps) { caps.gpio = {eight}; }},
      {"Uart", [](Caps& caps) { caps.uart = {{.text = "ISU8"}}; }},
      {"I2cMaster", [=](Caps& caps) { caps.i2c_master = {eight}; }},
      {"SpiMaster", [=](Caps& caps) { caps.spi_master = {eight}; }},
      {"Pwm", [=](Caps& caps) { caps.pwm = {eight}; }},
      {"Adc", [=](Caps& caps) { caps.adc = {eight}; }},
      {"AllowedConnections", [](Caps& caps) { caps.allowed_connections = {"example.com"}; }},
      {"AllowedTcpServerPorts", [](Caps& caps) { caps.allowed_tcp_server_ports = {8}; }},
      {"AllowedUdpServerPorts", [](Caps& caps) { caps.allowed_udp_server_ports = {8}; }},
      {"AllowedApplicationConnections",
       [](Caps& caps) { caps.allowed_application_connections = {test::test_guid(8)}; }},
      {"MutableStorage", [](Caps& caps) { caps.mutable_storage_kb = 8; }},
      {"DeviceAuthentication", [](Caps& caps) { caps.device_authentication = "8"; }},
      {"PowerControls", [](Caps& caps) { caps.power_controls = {"ForceReboot"}; }},
      {"NetworkConfig", [](Caps& caps) { caps.network_config = true; }},
      {"WifiConfig", [](Caps& caps) { caps.wifi_config = true; }},
      {"EnterpriseWifiConfig", [](Caps& caps) { caps.enterprise_wifi_config = true; }},
      {"SystemTime", [](Caps& caps) { caps.system_time = true; }},
      {"TimeSyncConfig", [](Caps& caps) { caps.time_sync_config = true; }},
      {"CertStore", [](Caps& caps) { caps.cert_store = true; }},
      {"DhcpService", [](Caps& caps) { caps.dhcp_service = true; }},
      {"SntpService", [](Caps& caps) { caps.sntp_service = true; }},
      {"ReadNetworkProxyConfig", [](Caps& caps) { caps.read_network_proxy_config = true; }},
      {"SystemEventNotifications", [](Caps& caps) { caps.system_event_notifications = true; }},
      {"SoftwareUpdateDeferral", [](Caps& caps) { caps.software_update_deferral = true; }},
      {"HardwareAddressConfig", [](Caps& caps) { caps.hardware_address_config = true; }},
      {"ResetMemoryWatermarks", [](Caps& caps) { caps.reset_memory_watermarks = true; }},
      {"HeapMemStats", [](Caps& caps) { caps.heap_mem_stats = true; }},
  };
}

// The only capability that opens a verb; "" for verbs open to all. Written from the API's
// documentation and not from the table under test.
std::string opener(std::uint16_t verb) {
  switch (verb) {
    case SPHERE_VERB_GPIO_IN:
    case SPHERE_VERB_GPIO_OUT:
      return "Gpio";
    case SPHERE_VERB_UART_OPEN:
      return "Uart";
    case SPHERE_VERB_FILE_OPEN:
    case SPHERE_VERB_FILE_DELETE:
    case SPHERE_VERB_FILE_USAGE:
      return "MutableStorage";
    case SPHERE_VERB_CONNECT:
      return "AllowedApplicationConnections";
    case SPHERE_VERB_NET_SET_STATE:
      return "NetworkConfig";
    default:
      return "";
  }
}

}  // namespace

TEST_CASE("each verb is opened by its capability and by no other") {
  const Subject subject{.number = kPin, .peer = test::test_guid(8)};
  for (const auto& rule : kVerbRules) {
    for (const auto& grant : grants()) {
      manifest::Capabilities capabilities;
      grant.give(capabilities);
      INFO(rule.call << " with " << grant.name);
      const auto needed = opener(rule.verb);
      CHECK(authorize(capabilities, rule.need, subject) ==
            (needed.empty() || needed == grant.name));
    }
  }
}

TEST_CASE("a list opens what it names and nothing beside it") {
  manifest::Capabilities capabilities;
  for (const auto& grant : grants()) {
    grant.give(capabilities);
  }
  for (const std::int64_t other : {-1L, 0L, 7L, 9L, 4294967304L}) {
    CHECK_FALSE(authorize(capabilities, Need::gpio_pin, {.number = other}));
    CHECK_FALSE(authorize(capabilities, Need::uart_port, {.number = other}));
  }
  CHECK_FALSE(authorize(capabilities, Need::peer, {.peer = test::test_guid(9)}));
}

TEST_CASE("MutableStorage of no size opens nothing") {
  manifest::Capabilities capabilities;
  capabilities.mutable_storage_kb = 0;
  CHECK_FALSE(authorize(capabilities, Need::mutable_storage, {}));
}

TEST_CASE("every verb has one rule, and an unknown verb has none") {
  std::set<int> verbs;
  for (const auto& rule : kVerbRules) {
    CHECK(verbs.insert(rule.verb).second);
    CHECK(find_rule(static_cast<std::uint16_t>(rule.verb)) == &rule);
  }
  CHECK(find_rule(0) == nullptr);
  CHECK(find_rule(0xFFFF) == nullptr);
  CHECK(find_rule(SPHERE_VERB_GPIO_SET) == nullptr);
}
