// SPDX-License-Identifier: MIT
#include "sphere/device_api/bodies.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch.hpp>

#include "sphere/core/result.h"
#include "sphere/json/value.h"

namespace api = sphere::device_api;
namespace json = sphere::json;
using sphere::Errc;

namespace {

json::Value parsed(std::string_view text) {
  auto value = json::parse(text);
  INFO(text);
  REQUIRE(value);
  return *std::move(value);
}

constexpr std::string_view kImages =
    R"({"has_staged_updates":false,"is_ota_update_in_progress":false,"restart_required":true,)"
    R"("components":[{"uid":"a","image_type":10,"is_update_staged":true,)"
    R"("does_image_type_require_restart":false,"name":"blink","images":[{"uid":"b",)"
    R"("length_in_bytes":16596,"uncompressed_length_in_bytes":16596,"replica_type":0}]}]})";

constexpr std::string_view kApps =
    R"({"apps":[{"componentId":"a","imageId":"b","name":"blink","type":"highLevel",)"
    R"("state":"running","temporary":false,"signedBy":"development","restarts":2,)"
    R"("lastExit":{"kind":"signal","code":11,"at":"2026-07-31T00:00:00Z"},"memoryBytes":4096,)"
    R"("startedAt":null}]})";

constexpr std::string_view kEnds =
    R"({"apps":[{"componentId":"a","imageId":"b","name":"blink","type":"highLevel",)"
    R"("state":"stopped","temporary":false,"signedBy":"development","restarts":2,)"
    R"("lastExit":{"kind":"signal","code":11,"at":null,"crash":{"at":{"address":"0x401139",)"
    R"("module":"/bin/app","offset":"0x1139"},"caller":null,"faultAddress":"0x0","signalCode":1,)"
    R"("thread":"app","buildId":null}},"memoryBytes":0,"startedAt":null},)"
    R"({"componentId":"c","imageId":"d","name":"eater","type":"highLevel",)"
    R"("state":"running","temporary":false,"signedBy":"development","restarts":1,)"
    R"("lastExit":{"kind":"limit","code":9,"at":null,"memory":{"budgetBytes":262144,)"
    R"("limitBytes":589824,"usedBytes":589824}},"memoryBytes":4096,"startedAt":null}]})";

constexpr std::string_view kBoard =
    R"({"api":"1.0.0","agent":"0.1.0","osVersion":"26.11","board":{"id":"mt3620-rdb","name":"demo",)"
    R"("virtual":true},"features":["emulated-apps"],"limits":{"maxImageBytes":67108864,)"
    R"("maxConnections":16,"maxFollowers":4}})";

}  // namespace

TEST_CASE("bodies are written as they were read", "[device_api]") {
  CHECK(json::to_compact(to_json(*api::images_from_json(parsed(kImages)))) == kImages);
  CHECK(json::to_compact(to_json(*api::apps_from_json(parsed(kApps)))) == kApps);
  CHECK(json::to_compact(to_json(*api::apps_from_json(parsed(kEnds)))) == kEnds);
  CHECK(json::to_compact(to_json(*api::board_info_from_json(parsed(kBoard)))) == kBoard);

  const std::string_view security =
      R"({"securityState":"TEST","deviceIdentifier":"ab","deviceIdentityPublicKey":"ab"})";
  CHECK(json::to_compact(to_json(*api::security_state_from_json(parsed(security)))) == security);
  const std::string_view line = R"({"seq":7,"at":null,"text":"a\nb","cut":true})";
  CHECK(json::to_compact(to_json(*api::output_line_from_json(parsed(line)))) == line);
  const std::string_view peripherals =
      R"({"peripherals":[{"name":"gpio8","kind":"gpio","pins":[8],"usedBy":null}]})";
  CHECK(json::to_compact(to_json(*api::virtual_peripherals_from_json(parsed(peripherals)))) ==
        peripherals);
  const std::string_view gpio = R"({"direction":"out","level":1,"usedBy":"a"})";
  CHECK(json::to_compact(to_json(*api::gpio_state_from_json(parsed(gpio)))) == gpio);
  const std::string_view edge = R"({"atUs":12345678,"pin":8,"level":0})";
  CHECK(json::to_compact(to_json(*api::gpio_edge_from_json(parsed(edge)))) == edge);
  const std::string_view error =
      R"({"error":14680076,"message":"m","next":"n","name":"RestAppError::AppNotPresent"})";
  CHECK(json::to_compact(to_json(*api::error_from_json(parsed(error)))) == error);
}

TEST_CASE("an error body needs only its number, and leaves empty texts out", "[device_api]") {
  const auto body = api::error_from_json(parsed(R"({"error":10485761})"));
  REQUIRE(body);
  CHECK(body->error == api::kJsonInvalid);
  CHECK(json::to_compact(to_json(*body)) == R"({"error":10485761})");
}

TEST_CASE("unknown keys are ignored", "[device_api]") {
  CHECK(api::gpio_edge_from_json(parsed(R"({"atUs":1,"pin":8,"level":1,"more":[1]})")));
}

TEST_CASE("a wrong shape is corrupt and names the key", "[device_api]") {
  struct Case {
    std::string_view name;
    std::string key;
    sphere::Result<void> result;
  };
  const auto drop = [](auto result) -> sphere::Result<void> {
    SPHERE_TRY(result);
    return {};
  };
  const auto replaced = [](std::string_view text, std::string_view from, std::string_view to) {
    std::string changed{text};
    const auto at = changed.find(from);
    REQUIRE(at != std::string::npos);
    return parsed(changed.replace(at, from.size(), to));
  };
  const std::vector<Case> cases{
      {"not an object", "", drop(api::images_from_json(parsed("[]")))},
      {"missing", "components",
       drop(api::images_from_json(
           parsed(R"({"has_staged_updates":false,"is_ota_update_in_progress":false,)"
                  R"("restart_required":false})")))},
      {"bad flag", "restart_required", drop(api::images_from_json(replaced(kImages, "true", "1")))},
      {"nested number", "components[0].images[0].length_in_bytes",
       drop(api::images_from_json(replaced(kImages, "16596", "\"x\"")))},
      {"element of a list", "components[0].",
       drop(api::images_from_json(
           parsed(R"({"has_staged_updates":false,"is_ota_update_in_progress":false,)"
                  R"("restart_required":false,"components":[1]})")))},
      {"state", "apps[0].state", drop(api::apps_from_json(replaced(kApps, "running", "run")))},
      {"exit", "apps[0].lastExit.code", drop(api::apps_from_json(replaced(kApps, "11", "1.5")))},
      {"place", "apps[0].lastExit.crash.at.address",
       drop(api::apps_from_json(replaced(kEnds, R"("0x401139")", "7")))},
      {"fault", "apps[0].lastExit.crash.faultAddress",
       drop(api::apps_from_json(replaced(kEnds, R"("0x0")", "null")))},
      {"limit", "apps[1].lastExit.memory.limitBytes",
       drop(api::apps_from_json(replaced(kEnds, "589824", "true")))},
      {"nested object", "board",
       drop(api::board_info_from_json(
           replaced(kBoard, R"({"id":"mt3620-rdb","name":"demo","virtual":true})", "[]")))},
      {"features", "features",
       drop(api::board_info_from_json(replaced(kBoard, R"("emulated-apps")", "2")))},
      {"limit", "limits.maxFollowers",
       drop(api::board_info_from_json(replaced(kBoard, ":4}", ":null}")))},
      {"level", "level", drop(api::gpio_edge_from_json(parsed(R"({"atUs":1,"pin":8,"level":2})")))},
      {"direction", "direction",
       drop(api::gpio_state_from_json(parsed(R"({"direction":"up","level":1,"usedBy":null})")))},
      {"code below zero", "error", drop(api::error_from_json(parsed(R"({"error":-1})")))},
      {"code too large", "error", drop(api::error_from_json(parsed(R"({"error":2147483648})")))},
      {"text of another kind", "message",
       drop(api::error_from_json(parsed(R"({"error":1,"message":2})")))},
      {"pins", "peripherals[0].pins",
       drop(api::virtual_peripherals_from_json(
           parsed(R"({"peripherals":[{"name":"g","kind":"gpio","pins":["a"],"usedBy":null}]})")))},
  };
  for (const Case& test : cases) {
    INFO(test.name);
    REQUIRE_FALSE(test.result);
    CHECK(test.result.error().code() == Errc::corrupt);
    CHECK(test.result.error().hint().value == test.key);
    CHECK(test.result.error().message().find(test.key) != std::string::npos);
  }
}

TEST_CASE("states of apps have the names of the wire", "[device_api]") {
  for (const auto state : {api::AppState::running, api::AppState::not_present,
                           api::AppState::stopped, api::AppState::debugging}) {
    CHECK(*api::parse_app_state(to_text(state)) == state);
  }
  CHECK(to_text(api::AppState::not_present) == "notPresent");
  CHECK_FALSE(api::parse_app_state("notpresent"));
}
