// SPDX-License-Identifier: MIT
#include "sphere/manifest/rewrite.h"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include <catch2/catch.hpp>

#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/json/value.h"
#include "sphere/manifest/manifest.h"
#include "tests/support/skip.h"
#include "tests/unit/manifest/sample.h"

namespace manifest = sphere::manifest;
using manifest::Rewrite;
using sphere::test::manifest_with;

namespace {

sphere::Result<std::string> rewritten(const std::string& text, const Rewrite& options = {}) {
  const auto validation = manifest::validate(text);
  REQUIRE(validation.manifest.has_value());
  return manifest::rewrite(text, *validation.manifest, options);
}

sphere::Result<std::string> resolve(std::string_view key, std::string_view name) {
  if (name == "LED" && key == "Gpio") {
    return "8";
  }
  if (name == "BUS") {
    return "\"ISU0\"";
  }
  if (name == "PWM") {
    return "\"PWM-CONTROLLER-2\"";
  }
  return sphere::fail(sphere::Errc::not_found, "no " + std::string{name});
}

// The manifest in a package: the body's first file, at offset 0x1000.
std::string manifest_of(const std::filesystem::path& package) {
  constexpr std::size_t kOffset = 0x1000;
  constexpr std::size_t kLimit = std::size_t{1} << 20U;
  const auto bytes = sphere::read_text_file(package, kLimit);
  REQUIRE(bytes.has_value());
  const auto end = bytes->find('\0', kOffset);
  REQUIRE(end != std::string::npos);
  return bytes->substr(kOffset, end - kOffset);
}

}  // namespace

TEST_CASE("rewrite compacts, keeps order and spelling, resolves names and appends", "[manifest]") {
  const std::string text =
      "\xEF\xBB\xBF{\r\n  \"Name\": \"caf\\u00e9 \xC3\xA9\\/\", \"TargetBetaApis\": "
      "\"Beta1806\",\r\n"
      "  \"Capabilities\": { \"Gpio\": [ \"$LED\", 12 ], \"Uart\": [\"$BUS\"], \"Pwm\": [ ],\n"
      "    \"AllowedConnections\": [ \"a b\" ], \"Odd\": [ 1.50e+1, { \"x\" : null } ] },\r\n"
      "  \"TargetApplicationRuntimeVersion\": 3, \"EntryPoint\": \"/bin/app\", \"SchemaVersion\": "
      "1,\n"
      "  \"ComponentId\": \"3C1F0F5E-6a0b-4b8e-9d53-0a4c7b1f2d60\" }\r\n\r\n";

  const auto result = rewritten(text, {.resolve = resolve, .api_set = 12, .beta_apis = "Beta2611"});

  REQUIRE(result.has_value());
  CHECK(
      *result ==
      "{\"Name\":\"caf\\u00e9 \xC3\xA9\\/\",\"Capabilities\":{\"Gpio\":[8,12],\"Uart\":[\"ISU0\"],"
      "\"Pwm\":[],\"AllowedConnections\":[\"a b\"],\"Odd\":[1.50e+1,{\"x\":null}]},"
      "\"EntryPoint\":\"/bin/app\",\"SchemaVersion\":1,"
      "\"ComponentId\":\"3C1F0F5E-6a0b-4b8e-9d53-0a4c7b1f2d60\","
      "\"TargetApplicationRuntimeVersion\":12,\"TargetBetaApis\":\"Beta2611\"}");
}

TEST_CASE("a real-time manifest is kept byte for byte unless names are resolved", "[manifest]") {
  const auto text = manifest_with("{ \"Gpio\" : [ 8 ] }", "RealTimeCapable") + "\r\n\r\n";

  CHECK(rewritten(text, {.api_set = 12}) == text);
  CHECK(rewritten(text, {.resolve = resolve, .api_set = 12, .beta_apis = "Beta2611"}) ==
        manifest_with("{\"Gpio\":[8]}", "RealTimeCapable"));
}

TEST_CASE("rewrite refuses names it cannot replace", "[manifest]") {
  const auto* const type = GENERATE("Default", "RealTimeCapable");

  const auto none = rewritten(manifest_with(R"({"Uart":["$BUS"]})", type));
  const auto unknown =
      rewritten(manifest_with(R"({"Gpio":["$OTHER"]})", type), {.resolve = resolve});

  REQUIRE_FALSE(none.has_value());
  CHECK(none.error().code() == sphere::Errc::invalid_argument);
  CHECK(none.error().hint().reason == "package.hardware-definition");
  CHECK(none.error().hint().value == "$BUS");
  REQUIRE_FALSE(unknown.has_value());
  CHECK(unknown.error().message() == "no OTHER");
}

TEST_CASE("rewrite refuses two peripherals on one pin after resolution", "[manifest]") {
  const auto* const capabilities =
      GENERATE(R"({"Gpio":["$LED"],"Pwm":["$PWM"]})", R"({"Gpio":[26],"Uart":["$BUS"]})",
               R"({"Uart":["$BUS"],"SpiMaster":["$BUS"]})");

  const auto result = rewritten(manifest_with(capabilities), {.resolve = resolve});

  REQUIRE_FALSE(result.has_value());
  CHECK(result.error().code() == sphere::Errc::invalid_argument);
  CHECK(result.error().hint().reason == "package.manifest");
  CHECK(result.error().message().find("error 35") != std::string::npos);
}

TEST_CASE("two names for one pin of the same kind are no conflict", "[manifest]") {
  CHECK(rewritten(manifest_with(R"({"Gpio":["$LED",8]})"), {.resolve = resolve}) ==
        manifest_with(R"({"Gpio":[8,8]})"));
}

TEST_CASE("a manifest from a package is rebuilt from an indented source", "[manifest]") {
  const auto name = GENERATE(values<std::string>(
      {"hl-blink-sdk-signed.imagepackage", "hl-pair-development.imagepackage"}));
  const auto package = std::filesystem::path{SPHERE_VECTORS_DIR} / name;
  SKIP_UNLESS(std::filesystem::exists(package), "no " + name + ": needs the vectors folder");
  const auto packed = manifest_of(package);
  const auto root = sphere::json::parse(packed);
  REQUIRE(root.has_value());

  const auto result = rewritten(sphere::json::to_pretty(*root) + "\r\n", {.api_set = 12});

  CHECK(result == packed);
  CHECK(manifest::validate(packed, manifest::Reader::device).manifest.has_value());
}

TEST_CASE("a real-time manifest from a package is copied with its CRLF", "[manifest]") {
  const auto package =
      std::filesystem::path{SPHERE_VECTORS_DIR} / "rt-threadx-sdk-signed.imagepackage";
  SKIP_UNLESS(std::filesystem::exists(package), "no rt-threadx vector: needs the vectors folder");
  const auto packed = manifest_of(package);

  CHECK(packed.size() == 395);
  CHECK(packed.ends_with("\r\n"));
  CHECK(rewritten(packed, {.api_set = 12}) == packed);
}

TEST_CASE("key order, beta set and missing CmdArgs of known packages are kept", "[manifest]") {
  const std::string micropython =
      "{\n  \"Name\": \"APP_PYTHON\",\n  \"Capabilities\": {},\n  \"CmdArgs\": [],\n"
      "  \"EntryPoint\": \"/bin/app.elf\",\n  \"SchemaVersion\": 1,\n"
      "  \"ApplicationType\": \"Default\",\n"
      "  \"ComponentId\": \"dc7f135c-6074-4d49-aa3a-160e4eed884f\"\n}";
  const std::string bare_metal =
      "{ \"SchemaVersion\": 1, \"Name\": \"RT\", "
      "\"ComponentId\": \"005180bc-402f-4cb3-a662-72937dbcde47\", \"EntryPoint\": \"/bin/app\", "
      "\"Capabilities\": { \"AllowedApplicationConnections\": [], "
      "\"Adc\": [ \"ADC-CONTROLLER-0\" ] }, \"ApplicationType\": \"RealTimeCapable\" }";

  CHECK(rewritten(micropython, {.api_set = 2, .beta_apis = "Beta1905"}) ==
        std::string{"{\"Name\":\"APP_PYTHON\",\"Capabilities\":{},\"CmdArgs\":[],"
                    "\"EntryPoint\":\"/bin/app.elf\",\"SchemaVersion\":1,"
                    "\"ApplicationType\":\"Default\","
                    "\"ComponentId\":\"dc7f135c-6074-4d49-aa3a-160e4eed884f\","
                    "\"TargetApplicationRuntimeVersion\":2,\"TargetBetaApis\":\"Beta1905\"}"});
  CHECK(rewritten(bare_metal, {.resolve = resolve}) ==
        std::string{"{\"SchemaVersion\":1,\"Name\":\"RT\","
                    "\"ComponentId\":\"005180bc-402f-4cb3-a662-72937dbcde47\","
                    "\"EntryPoint\":\"/bin/app\","
                    "\"Capabilities\":{\"AllowedApplicationConnections\":[],"
                    "\"Adc\":[\"ADC-CONTROLLER-0\"]},\"ApplicationType\":\"RealTimeCapable\"}"});
}
