// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "sphere/core/guid.h"
#include "sphere/core/result.h"
#include "sphere/manifest/manifest.h"
#include "tests/unit/manifest/sample.h"

namespace manifest = sphere::manifest;
using manifest::Finding;
using manifest::Reader;
using manifest::Severity;
using sphere::test::manifest_with;
using sphere::test::replaced;

namespace {

std::vector<Finding> errors_of(const std::string& text, Reader reader = Reader::packer) {
  auto findings = manifest::validate(text, reader).findings;
  findings.erase(
      std::remove_if(findings.begin(), findings.end(),
                     [](const Finding& finding) { return finding.severity != Severity::error; }),
      findings.end());
  return findings;
}

struct Wrong {
  std::uint32_t id;
  const char* rule;
  const char* pointer;
  const char* text;  // Of Capabilities.
};

struct WrongTop {
  std::uint32_t id;
  const char* rule;
  const char* pointer;
  const char* what;  // Replaced in the sample ...
  const char* by;    // ... by this.
};

}  // namespace

TEST_CASE("validate reads every capability", "[manifest]") {
  const auto result = manifest::validate(manifest_with(
      R"({"Gpio":[8,"$LED"],"Uart":["ISU0"],"I2cMaster":["ISU1"],"SpiMaster":["$SPI"],)"
      R"("Pwm":["PWM-CONTROLLER-0"],"Adc":["ADC-CONTROLLER-0"],)"
      R"("AllowedConnections":["example.com","192.168.35.1"],"AllowedTcpServerPorts":[1,65535],)"
      R"("AllowedUdpServerPorts":[],)"
      R"("AllowedApplicationConnections":["005180BC-402f-4cb3-a662-72937dbcde47"],)"
      R"("MutableStorage":{"SizeKB":64},)"
      R"("DeviceAuthentication":"00000000-0000-0000-0000-000000000000",)"
      R"("NetworkConfig":true,"WifiConfig":true,"EnterpriseWifiConfig":true,"SystemTime":true,)"
      R"("TimeSyncConfig":true,"CertStore":true,"DhcpService":true,"SntpService":true,)"
      R"("ReadNetworkProxyConfig":true,"SystemEventNotifications":true,)"
      R"("SoftwareUpdateDeferral":true,"PowerControls":["ForceReboot","SetPowerProfile"],)"
      R"("HardwareAddressConfig":true,"ResetMemoryWatermarks":true,"HeapMemStats":false})"));

  CHECK(result.findings.empty());
  REQUIRE(result.manifest.has_value());
  CHECK(result.manifest->entry_point == "/bin/app");
  CHECK(result.manifest->component_id->text() == "3c1f0f5e-6a0b-4b8e-9d53-0a4c7b1f2d60");
  const auto& capabilities = result.manifest->capabilities;
  CHECK(capabilities.gpio[0].number == 8);
  CHECK(capabilities.gpio[1].is_name());
  CHECK(capabilities.uart[0].text == "ISU0");
  CHECK(capabilities.spi_master[0].is_name());
  CHECK(capabilities.allowed_connections.size() == 2);
  CHECK(capabilities.allowed_tcp_server_ports == std::vector<std::uint16_t>{1, 65535});
  CHECK(capabilities.allowed_application_connections[0].text() ==
        "005180bc-402f-4cb3-a662-72937dbcde47");
  CHECK(capabilities.mutable_storage_kb == 64);
  CHECK(capabilities.power_controls == std::vector<std::string>{"ForceReboot", "SetPowerProfile"});
  CHECK(capabilities.hardware_address_config);
  CHECK_FALSE(capabilities.heap_mem_stats);
}

TEST_CASE("validate reports each malformed capability by number, name and place", "[manifest]") {
  const auto test = GENERATE(values<Wrong>({
      {9, "ConnectionsParseError", "/Capabilities/AllowedConnections",
       R"({"AllowedConnections":"a"})"},
      {9, "ConnectionsParseError", "/Capabilities/AllowedConnections/1",
       R"({"AllowedConnections":["a",1]})"},
      {10, "GpioParseError", "/Capabilities/Gpio", R"({"Gpio":8})"},
      {10, "GpioParseError", "/Capabilities/Gpio/1", R"({"Gpio":[8,"9"]})"},
      {10, "GpioParseError", "/Capabilities/Gpio/0", R"({"Gpio":[1.5]})"},
      {10, "GpioParseError", "/Capabilities/Gpio/0", R"({"Gpio":[-1]})"},
      {10, "GpioParseError", "/Capabilities/Gpio/0", R"({"Gpio":["$"]})"},
      {11, "NetworkConfigParseError", "/Capabilities/NetworkConfig", R"({"NetworkConfig":1})"},
      {13, "PeripheralParseError", "/Capabilities/Uart", R"({"Uart":"ISU0"})"},
      {13, "PeripheralParseError", "/Capabilities/I2cMaster/0", R"({"I2cMaster":[0]})"},
      {13, "PeripheralParseError", "/Capabilities/SpiMaster/0", R"({"SpiMaster":[""]})"},
      {13, "PeripheralParseError", "/Capabilities/Pwm", R"({"Pwm":{}})"},
      {13, "PeripheralParseError", "/Capabilities/Adc/0", R"({"Adc":["$"]})"},
      {13, "PeripheralParseError", "/Capabilities/I2sSubordinate/0", R"({"I2sSubordinate":[1]})"},
      {13, "PeripheralParseError", "/Capabilities/ExternalInterrupt",
       R"({"ExternalInterrupt":null})"},
      {15, "WifiParseError", "/Capabilities/WifiConfig", R"({"WifiConfig":"true"})"},
      {24, "DeviceAuthTenantIdParseError", "/Capabilities/DeviceAuthentication",
       R"({"DeviceAuthentication":true})"},
      {29, "DeviceAuthTenantIdTooLong", "/Capabilities/DeviceAuthentication",
       R"({"DeviceAuthentication":"0123456789012345678901234567890123456789012345678901234567890123"})"},
      {30, "SystemTimeParseError", "/Capabilities/SystemTime", R"({"SystemTime":[]})"},
      {31, "NonObjectMutableStorageType", "/Capabilities/MutableStorage",
       R"({"MutableStorage":8})"},
      {32, "MutableStorageMissingRequiredField", "/Capabilities/MutableStorage",
       R"({"MutableStorage":{}})"},
      {33, "ErrorParsingMutableStorageField", "/Capabilities/MutableStorage/SizeKB",
       R"({"MutableStorage":{"SizeKB":-1}})"},
      {33, "ErrorParsingMutableStorageField", "/Capabilities/MutableStorage/SizeKB",
       R"({"MutableStorage":{"SizeKB":"8"}})"},
      {34, "MutableStorageRequestTooLarge", "/Capabilities/MutableStorage/SizeKB",
       R"({"MutableStorage":{"SizeKB":65}})"},
      {34, "MutableStorageRequestTooLarge", "/Capabilities/MutableStorage/SizeKB",
       R"({"MutableStorage":{"SizeKB":99999999999999999999}})"},
      {35, "RequestedPeripheralsRequireSamePin", "/Capabilities/Pwm/0",
       R"({"Gpio":[9],"Pwm":["PWM-CONTROLLER-2"]})"},
      {35, "RequestedPeripheralsRequireSamePin", "/Capabilities/Gpio/0",
       R"({"Uart":["ISU4"],"Gpio":[74]})"},
      {35, "RequestedPeripheralsRequireSamePin", "/Capabilities/Gpio/0",
       R"({"SpiMaster":["ISU4"],"Gpio":[75]})"},
      {35, "RequestedPeripheralsRequireSamePin", "/Capabilities/I2cMaster/0",
       R"({"Uart":["ISU0"],"I2cMaster":["ISU0"]})"},
      {35, "RequestedPeripheralsRequireSamePin", "/Capabilities/Gpio/0",
       R"({"Adc":["ADC-CONTROLLER-0"],"Gpio":[48]})"},
      {36, "AllowedTcpPortsParseError", "/Capabilities/AllowedTcpServerPorts",
       R"({"AllowedTcpServerPorts":80})"},
      {36, "AllowedTcpPortsParseError", "/Capabilities/AllowedTcpServerPorts/0",
       R"({"AllowedTcpServerPorts":["80"]})"},
      {37, "AllowedUdpPortsParseError", "/Capabilities/AllowedUdpServerPorts/0",
       R"({"AllowedUdpServerPorts":[1.0]})"},
      {38, "IllegalTcpPortsValue", "/Capabilities/AllowedTcpServerPorts/0",
       R"({"AllowedTcpServerPorts":[0]})"},
      {39, "IllegalUdpPortsValue", "/Capabilities/AllowedUdpServerPorts/0",
       R"({"AllowedUdpServerPorts":[65536]})"},
      {40, "TimeSyncConfigParseError", "/Capabilities/TimeSyncConfig", R"({"TimeSyncConfig":0})"},
      {41, "DhcpServiceParseError", "/Capabilities/DhcpService", R"({"DhcpService":0})"},
      {42, "SntpServiceParseError", "/Capabilities/SntpService", R"({"SntpService":0})"},
      {43, "AllowedApplicationConnectionsParseError",
       "/Capabilities/AllowedApplicationConnections/0",
       R"({"AllowedApplicationConnections":["005180bc"]})"},
      {43, "AllowedApplicationConnectionsParseError", "/Capabilities/AllowedApplicationConnections",
       R"({"AllowedApplicationConnections":"005180bc-402f-4cb3-a662-72937dbcde47"})"},
      {44, "CertStoreParseError", "/Capabilities/CertStore", R"({"CertStore":0})"},
      {45, "EnterpriseWifiConfigParseError", "/Capabilities/EnterpriseWifiConfig",
       R"({"EnterpriseWifiConfig":0})"},
      {46, "SystemEventNotificationsParseError", "/Capabilities/SystemEventNotifications",
       R"({"SystemEventNotifications":0})"},
      {47, "SoftwareUpdateDeferralParseError", "/Capabilities/SoftwareUpdateDeferral",
       R"({"SoftwareUpdateDeferral":0})"},
      {48, "PowerControlsMalformedParseError", "/Capabilities/PowerControls",
       R"({"PowerControls":"ForceReboot"})"},
      {48, "PowerControlsMalformedParseError", "/Capabilities/PowerControls/1",
       R"({"PowerControls":["ForceReboot","ForceReboot"]})"},
      {49, "PowerControlsEmptyParseError", "/Capabilities/PowerControls",
       R"({"PowerControls":[]})"},
      {50, "PowerControlsInvalidEntryParseError", "/Capabilities/PowerControls/0",
       R"({"PowerControls":["Reboot"]})"},
      {51, "HardwareAddressConfigParseError", "/Capabilities/HardwareAddressConfig",
       R"({"HardwareAddressConfig":0})"},
      {56, "ReadNetworkProxyConfigParseError", "/Capabilities/ReadNetworkProxyConfig",
       R"({"ReadNetworkProxyConfig":0})"},
      {57, "ResetMemoryWatermarksParseError", "/Capabilities/ResetMemoryWatermarks",
       R"({"ResetMemoryWatermarks":0})"},
      {58, "HeapMemStatsParseError", "/Capabilities/HeapMemStats", R"({"HeapMemStats":0})"},
  }));
  INFO(test.text);

  const auto errors = errors_of(manifest_with(test.text));

  REQUIRE(errors.size() == 1);
  CHECK(errors[0].category == 2);
  CHECK(errors[0].id == test.id);
  CHECK(errors[0].rule == test.rule);
  CHECK(errors[0].pointer == test.pointer);
  CHECK(errors[0].line == 1);
  CHECK(errors[0].column > 1);
  CHECK_FALSE(errors[0].message.empty());
  CHECK_FALSE(manifest::validate(manifest_with(test.text)).manifest.has_value());
  CHECK(errors_of(manifest_with(test.text), Reader::device)[0].id == test.id);
}

TEST_CASE("validate reports each wrong key at top level", "[manifest]") {
  const auto test = GENERATE(values<WrongTop>({
      {1, "InvalidJson", "", "\"SchemaVersion\"", "SchemaVersion"},
      {1, "InvalidJson", "", "{\"SchemaVersion\":1", "{\"SchemaVersion\":1,\"SchemaVersion\":1"},
      {1, "InvalidJson", "", "\"CmdArgs\":[]", "\"CmdArgs\":[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]"},
      {1, "InvalidJson", "/Name", "\"Name\":\"Sample\",", ""},
      {1, "InvalidJson", "/Name", "\"Sample\"", "7"},
      {3, "MissingEntryPoint", "/EntryPoint", "\"EntryPoint\":\"/bin/app\",", ""},
      {3, "MissingEntryPoint", "/EntryPoint", "\"/bin/app\"", "[]"},
      {4, "MissingSchemaVersion", "/SchemaVersion", "\"SchemaVersion\":1,", ""},
      {5, "CmdArgParseError", "/CmdArgs", "\"CmdArgs\":[]", "\"CmdArgs\":\"x\""},
      {5, "CmdArgParseError", "/CmdArgs/1", "\"CmdArgs\":[]", "\"CmdArgs\":[\"x\",1]"},
      {5, "CmdArgParseError", "/CmdArgs/0", "\"CmdArgs\":[]", "\"CmdArgs\":[\"a\\u0000b\"]"},
      {6, "MissingCapabilitiesList", "/Capabilities", "\"Capabilities\":{},", ""},
      {6, "MissingCapabilitiesList", "/Capabilities", "\"Capabilities\":{}", "\"Capabilities\":[]"},
      {16, "BadEntryPoint", "/EntryPoint", "\"/bin/app\"", "\"\""},
      {16, "BadEntryPoint", "/EntryPoint", "\"/bin/app\"", "\"/\""},
      {16, "BadEntryPoint", "/EntryPoint", "\"/bin/app\"", "\"/bin/../app\""},
      {16, "BadEntryPoint", "/EntryPoint", "\"/bin/app\"", "\"./app\""},
      {16, "BadEntryPoint", "/EntryPoint", "\"/bin/app\"", "\"/bin//app\""},
      {16, "BadEntryPoint", "/EntryPoint", "\"/bin/app\"", "\"/bin/\""},
      {16, "BadEntryPoint", "/EntryPoint", "\"/bin/app\"", "\"\\\\bin\\\\app\""},
      {16, "BadEntryPoint", "/EntryPoint", "\"/bin/app\"", "\"/bin/a\\np\""},
      {17, "IncompatibleSchemaVersion", "/SchemaVersion", "\"SchemaVersion\":1",
       "\"SchemaVersion\":2"},
      {17, "IncompatibleSchemaVersion", "/SchemaVersion", "\"SchemaVersion\":1",
       "\"SchemaVersion\":\"1\""},
      {26, "BadAppType", "/ApplicationType", "\"Default\"", "\"RealtimeCapable\""},
      {27, "NonStringAppType", "/ApplicationType", "\"Default\"", "1"},
      {59, "MallocVersionParseError", "/MallocVersion", "\"CmdArgs\":[]", "\"MallocVersion\":3"},
      {1, "InvalidJson", "/Core", "\"CmdArgs\":[]", "\"Core\":-1"},
      {1, "InvalidJson", "/TargetApplicationRuntimeVersion", "\"CmdArgs\":[]",
       "\"TargetApplicationRuntimeVersion\":\"12\""},
      {1, "InvalidJson", "/TargetBetaApis", "\"CmdArgs\":[]", "\"TargetBetaApis\":1"},
  }));
  INFO(test.by);

  const auto errors = errors_of(replaced(manifest_with("{}"), test.what, test.by));

  REQUIRE(errors.size() == 1);
  CHECK(errors[0].category == 2);
  CHECK(errors[0].id == test.id);
  CHECK(errors[0].rule == test.rule);
  CHECK(errors[0].pointer == test.pointer);
}

TEST_CASE("the second chip select of an ISU is free beside a UART or I2C bus", "[manifest]") {
  CHECK(
      errors_of(manifest_with(R"({"Uart":["ISU0"],"I2cMaster":["ISU1"],"Gpio":[30,35]})")).empty());
}

TEST_CASE("only peripherals take pins", "[manifest]") {
  CHECK(errors_of(
            manifest_with(R"({"Uart":["ISU0"],"AllowedConnections":["ISU0","PWM-CONTROLLER-0"]})"))
            .empty());
}

TEST_CASE("validate refuses what is no object or too large", "[manifest]") {
  CHECK(errors_of("[]")[0].id == 1);
  CHECK(errors_of("")[0].id == 1);
  const auto large = manifest_with("{}") + std::string(manifest::kMaxManifestBytes, ' ');
  const auto errors = errors_of(large);
  REQUIRE(errors.size() == 1);
  CHECK(errors[0].id == 1);
  CHECK(errors[0].message.find("65,536") != std::string::npos);
}

TEST_CASE("validate collects findings in source order with line and column", "[manifest]") {
  const std::string text =
      "\xEF\xBB\xBF{\r\n"
      "  \"SchemaVersion\": 1, \"Name\": \"x\",\r\n"
      "  \"Capabilities\": {\r\n"
      "    \"Gpio\": [ 8, 9, \"10\" ],\r\n"
      "    \"Wificonfig\": true\r\n"
      "  },\r\n"
      "  \"CmdArgs\": [ 1 ]\r\n"
      "}\r\n";

  const auto findings = manifest::validate(text).findings;

  REQUIRE(findings.size() == 5);
  CHECK(findings[0].id == 3);
  CHECK(findings[0].line == 1);
  CHECK(findings[0].column == 1);
  CHECK(findings[1].rule == "ComponentIdMissing");
  CHECK(findings[2].pointer == "/Capabilities/Gpio/2");
  CHECK(findings[2].line == 4);
  CHECK(findings[2].column == 21);
  CHECK(findings[3].rule == "UnknownCapability");
  CHECK(findings[3].hint == "did you mean \"WifiConfig\"?");
  CHECK(findings[3].line == 5);
  CHECK(findings[3].column == 5);
  CHECK(findings[4].pointer == "/CmdArgs/0");
}

TEST_CASE("validate tells a fragment from a broken manifest", "[manifest]") {
  const auto errors = errors_of(R"({"Capabilities": {"Gpio": [8]}})");

  REQUIRE(errors.size() == 2);
  CHECK(errors[0].id == 3);
  CHECK(errors[1].id == 4);
  CHECK(errors[0].hint.find("into the app_manifest.json of an app") != std::string::npos);
}

TEST_CASE("a policy and, on a device, an unknown capability have errors of category 1",
          "[manifest]") {
  const auto policy = errors_of(replaced(manifest_with("{}"), "\"CmdArgs\":[]", "\"Policy\":{}"));
  const auto text = manifest_with(R"({"Bluetooth":true})");
  const auto unknown = errors_of(text, Reader::device);

  REQUIRE(policy.size() == 1);
  CHECK(policy[0].category == 1);
  CHECK(policy[0].id == 2);
  CHECK(policy[0].rule == "CustomerManifestHasPolicy");
  CHECK(errors_of(text).empty());
  REQUIRE(unknown.size() == 1);
  CHECK((unknown[0].category << 20U) + *unknown[0].id == 1048600);
  CHECK(unknown[0].rule == "IllegalCapabilityInManifest");
  CHECK(unknown[0].pointer == "/Capabilities/Bluetooth");
}

TEST_CASE("a device refuses what packing should have replaced", "[manifest]") {
  CHECK(errors_of(manifest_with(R"({"Gpio":["$LED"]})"), Reader::device)[0].id == 10);
  CHECK(errors_of(manifest_with(R"({"Uart":["$UART"]})"), Reader::device)[0].id == 13);
  const auto no_guid = replaced(manifest_with("{}"), "3c1f0f5e", "xxxx");
  CHECK(errors_of(no_guid).empty());
  CHECK(errors_of(no_guid, Reader::device)[0].pointer == "/ComponentId");
  const auto debug = replaced(manifest_with("{}"), "\"CmdArgs\":[]", "\"Debug\":1");
  CHECK(errors_of(debug).empty());
  CHECK(errors_of(debug, Reader::device)[0].id == 8);
}

TEST_CASE("package_finding numbers what only the caller sees", "[manifest]") {
  const auto finding =
      manifest::package_finding(manifest::PackageProblem::no_entry_point_file, "/bin/app");

  CHECK(finding.id == 22);
  CHECK(finding.rule == "SpecifiedEntryPointDoesNotExist");
  CHECK(finding.pointer == "/EntryPoint");
  CHECK(manifest::package_finding(manifest::PackageProblem::unreadable_manifest, "x").id == 2);
  CHECK(manifest::package_finding(manifest::PackageProblem::entry_point_directory, "x").id == 23);
  CHECK(manifest::package_finding(manifest::PackageProblem::no_manifest, "x").id == 25);
}

TEST_CASE("to_error lists at most 20 errors with file, line and number", "[manifest]") {
  std::string pins = "\"0\"";
  for (int i = 1; i < 25; ++i) {
    pins += ",\"" + std::to_string(i) + "\"";
  }
  const auto validation = manifest::validate(manifest_with("{\"Gpio\":[" + pins + "]}"));

  const auto error = manifest::to_error(validation, "app_manifest.json");

  CHECK(error.code() == sphere::Errc::invalid_argument);
  CHECK(error.hint().reason == "package.manifest");
  CHECK(error.hint().value == "/Capabilities/Gpio/0");
  CHECK_FALSE(error.hint().next.empty());
  const auto& message = error.message();
  CHECK(std::count(message.begin(), message.end(), '\n') == 20);
  CHECK(message.starts_with("app_manifest.json:1:"));
  CHECK(message.find(": /Capabilities/Gpio/19: \"19\" is neither") != std::string::npos);
  CHECK(message.find("(error 10, GpioParseError)") != std::string::npos);
  CHECK(message.ends_with("5 more errors"));
}
