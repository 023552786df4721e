// SPDX-License-Identifier: MIT
#include <string>
#include <string_view>

#include <catch2/catch.hpp>

#include "sphere/manifest/manifest.h"
#include "tests/unit/manifest/sample.h"

namespace manifest = sphere::manifest;
using sphere::test::manifest_with;
using sphere::test::replaced;

namespace {

struct Doubtful {
  const char* rule;
  const char* pointer;
  const char* what;
  const char* by;
  const char* hint;
};

}  // namespace

TEST_CASE("validate warns of what packs but will hardly do", "[manifest]") {
  const auto test = GENERATE(values<Doubtful>({
      {"ComponentIdMissing", "/ComponentId",
       "\"ComponentId\":\"3c1f0f5e-6a0b-4b8e-9d53-0a4c7b1f2d60\",", "", "pack-application"},
      {"ComponentIdMalformed", "/ComponentId", "3c1f0f5e-", "", "random"},
      {"EntryPointWithoutSlash", "/EntryPoint", "/bin/app", "bin/app", "'/'"},
      {"UnknownKey", "/cmdargs", "CmdArgs", "cmdargs", "did you mean \"CmdArgs\"?"},
      {"WrittenByPacking", "/TargetApplicationRuntimeVersion", "\"CmdArgs\":[]",
       "\"TargetApplicationRuntimeVersion\":3", "remove it"},
      {"WrittenByPacking", "/TargetBetaApis", "\"CmdArgs\":[]", "\"TargetBetaApis\":\"Beta1905\"",
       "remove it"},
      {"NoEffectInHighLevelApp", "/Core", "\"CmdArgs\":[]", "\"Core\":0", "remove it"},
      {"FirstPartyKey", "/Debug", "\"CmdArgs\":[]", "\"Debug\":{}", "remove it"},
      {"UnknownCapability", "/Capabilities/GPIO", "{}", R"({"GPIO":[8]})",
       "did you mean \"Gpio\"?"},
      {"UnknownCapability", "/Capabilities/a~1b~0", "{}", R"({"a/b~":1})", ""},
      {"UnknownKey", "/Capabilities/MutableStorage/Size", "{}",
       R"({"MutableStorage":{"SizeKB":8,"Size":8}})", "did you mean \"SizeKB\"?"},
      {"DuplicateEntry", "/Capabilities/Gpio/1", "{}", R"({"Gpio":[8,8]})", "remove one"},
      {"DuplicateEntry", "/Capabilities/Uart/1", "{}", R"({"Uart":["$U","$U"]})", "remove one"},
      {"PinNotAvailable", "/Capabilities/Gpio/0", "{}", R"({"Gpio":[24]})", "0-23"},
      {"UnknownPeripheral", "/Capabilities/Uart/0", "{}", R"({"Uart":["UART0"]})", "ISU0"},
      {"UnknownPeripheral", "/Capabilities/Pwm/0", "{}", R"({"Pwm":["PWM-CONTROLLER-3"]})",
       "PWM-CONTROLLER-0"},
      {"UnknownPeripheral", "/Capabilities/Adc/0", "{}", R"({"Adc":["ISU0"]})", "ADC-CONTROLLER-0"},
      {"NotAHostName", "/Capabilities/AllowedConnections/0", "{}",
       R"({"AllowedConnections":["<IPERF SERVER IP ADDRESS>"]})", "host"},
      {"NotACatalogId", "/Capabilities/DeviceAuthentication", "{}",
       R"({"DeviceAuthentication":"REPLACE_WITH_YOUR_CATALOG_ID"})", "catalog"},
      {"EnterpriseWifiConfigAlone", "/Capabilities/EnterpriseWifiConfig", "{}",
       R"({"EnterpriseWifiConfig":true})", "\"WifiConfig\": true"},
      {"SoftwareUpdateDeferralAlone", "/Capabilities/SoftwareUpdateDeferral", "{}",
       R"({"SoftwareUpdateDeferral":true,"SystemEventNotifications":false})",
       "\"SystemEventNotifications\": true"},
      {"NoEffectInHighLevelApp", "/Capabilities/ExternalInterrupt", "{}",
       R"({"ExternalInterrupt":["EINT12"]})", "remove it"},
  }));
  INFO(test.by);

  const auto result = manifest::validate(replaced(manifest_with("{}"), test.what, test.by));

  REQUIRE(result.findings.size() == 1);
  CHECK(result.manifest.has_value());
  const auto& warning = result.findings[0];
  CHECK(warning.severity == manifest::Severity::warning);
  CHECK_FALSE(warning.id.has_value());
  CHECK(warning.rule == test.rule);
  CHECK(warning.pointer == test.pointer);
  CHECK(warning.hint.find(test.hint) != std::string::npos);
}

TEST_CASE("validate warns of capabilities without effect in a real-time app", "[manifest]") {
  const auto result = manifest::validate(manifest_with(
      R"({"Gpio":[8],"I2sSubordinate":["I2S0"],"AllowedConnections":[],"WifiConfig":false,)"
      R"("MutableStorage":{"SizeKB":8}})",
      "RealTimeCapable"));

  REQUIRE(result.findings.size() == 1);
  CHECK(result.findings[0].rule == "NoEffectInRealTimeApp");
  CHECK(result.findings[0].pointer == "/Capabilities/MutableStorage");
  CHECK(result.manifest->type == manifest::ApplicationType::real_time);
}

TEST_CASE("is_connection_target knows names and addresses", "[manifest]") {
  const auto* const good =
      GENERATE("example.com", "192.168.35.1", "255.255.255.255", "_http._tcp.local", "a", "fe80::1",
               "REPLACE_WITH_YOUR_IOT_HUB_ENDPOINT_URL", "YOUR_IOT_HUB-HOSTNAME.azure-devices.net");
  CHECK(manifest::is_connection_target(good));
}

TEST_CASE("is_connection_target refuses everything else", "[manifest]") {
  const std::string label(64, 'a');
  std::string name = "a";
  while (name.size() <= 253) {
    name += ".a";
  }
  const auto bad = GENERATE_COPY(values<std::string>(
      {"", ".", "a..b", "a b", "http://a", "<host>", "a.", "\xC3\xA9", "a:80", label, name}));
  INFO(bad);
  CHECK_FALSE(manifest::is_connection_target(bad));
  CHECK_FALSE(manifest::is_connection_target(std::string_view{"::1\0x", 5}));
}
