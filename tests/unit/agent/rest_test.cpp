// SPDX-License-Identifier: MIT
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch.hpp>

#include "device-agent/agent/apps/transitions.h"
#include "device-agent/agent/debug/debug_session.h"
#include "device-agent/agent/rest/access.h"
#include "device-agent/agent/rest/answers.h"
#include "device-agent/agent/rest/routes.h"
#include "device-agent/agent/rest/target.h"
#include "tests/unit/agent/agent_bench.h"

namespace {

using namespace sphere;         // NOLINT(google-build-using-namespace): test
using namespace sphere::agent;  // NOLINT(google-build-using-namespace): test
using sphere::test::AgentBench;

// The pattern with an id in it.
std::string example_of(std::string_view pattern) {
  std::string path{pattern};
  if (const auto place = path.find("{uid}"); place != std::string::npos) {
    path.replace(place, 5, test::test_guid(1).text());
  }
  if (path.ends_with("/*")) {
    path.replace(path.size() - 1, 1, "gpio/8");
  }
  return path;
}

}  // namespace

TEST_CASE("every route is found by its own path, and no path has two") {
  for (const auto& route : routes()) {
    INFO(route.method << " " << route.path);
    const auto found = find_route(route.method, example_of(route.path));
    REQUIRE(found);
    CHECK(found->route == &route);
    CHECK((route.handle == nullptr) == (route.body == BodyKind::package));
  }
}

TEST_CASE("the public part has 30 paths and 42 operations") {
  std::set<std::string_view> paths;
  std::size_t operations = 0;
  for (const auto& route : routes()) {
    if (!route.path.starts_with("/sphere/")) {
      paths.insert(route.path);
      ++operations;
    }
  }
  CHECK(paths.size() == 30);
  CHECK(operations == 42);
}

TEST_CASE("access of each class in each manufacturing state and with each capability") {
  struct Case {
    std::string state;
    std::vector<std::int64_t> capabilities;
    bool development, rest;
  };
  const auto test = GENERATE(values<Case>({{"Blank", {}, false, true},
                                           {"Blank", {11}, true, true},
                                           {"Blank", {12}, false, true},
                                           {"Module1Complete", {}, false, true},
                                           {"Module1Complete", {11}, true, true},
                                           {"DeviceComplete", {}, false, false},
                                           {"DeviceComplete", {12}, false, false},
                                           {"DeviceComplete", {13}, false, true},
                                           {"DeviceComplete", {11}, true, true},
                                           {"Unknown", {}, false, false},
                                           {"", {}, false, false}}));
  INFO(test.state << " " << test.capabilities.size());

  CHECK_FALSE(refuse_access(Access::anyone, test.state, test.capabilities));
  CHECK(refuse_access(Access::development, test.state, test.capabilities).has_value() !=
        test.development);
  CHECK(refuse_access(Access::rest, test.state, test.capabilities).has_value() != test.rest);
}

TEST_CASE("a complete board answers every locked route 403 without a body") {
  AgentBench bench{"DeviceComplete"};
  for (const auto& route : routes()) {
    INFO(route.method << " " << route.path);
    const auto answer = bench.send(std::string{route.method}, example_of(route.path));
    if (route.access == Access::anyone) {
      CHECK(answer.status != 403);
    } else {
      CHECK(answer.status == 403);
      CHECK(answer.text.empty());
      CHECK(answer.header("Sphere-Error") == std::to_string(device_api::kNotAuthorised));
    }
  }
}

TEST_CASE("the lock follows the fuse from one request to the next") {
  AgentBench bench;
  CHECK(bench.send("GET", "/images").status == 200);
  REQUIRE(write_file(bench.path() / "fuses/manufacturing-state", "DeviceComplete\n"));
  CHECK(bench.send("GET", "/images").status == 403);
  CHECK(bench.send("GET", "/device/capabilities").text == R"({"device_capabilities":[]})");
  REQUIRE(write_file(bench.path() / "fuses/capabilities", "13\n11\n11\nx\n"));
  CHECK(bench.send("GET", "/images").status == 200);
  CHECK(bench.send("GET", "/device/capabilities").text == R"({"device_capabilities":[11,13]})");
}

TEST_CASE("hosts of the board are taken, others refused") {
  const std::string device(128, 'b');
  for (const auto* host :
       {"*.devices.sphere.azure.local", "x.devices.sphere.azure.local:443", "192.168.35.2",
        "192.168.35.254:8443", "localhost:1", "127.0.0.1", "[::1]:443",
        "D-bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb.device.sphere.internal"}) {
    INFO(host);
    CHECK(is_own_host(host, device));
  }
  for (const auto* host :
       {"", "evil.example", "192.168.35.2.evil.example", "192.168.35.256", "192.168.35.",
        "localhost.evil.example", "devices.sphere.azure.local", ".devices.sphere.azure.local",
        "127.0.0.1.evil.example", "192.168.36.2"}) {
    INFO(host);
    CHECK_FALSE(is_own_host(host, device));
  }
}

TEST_CASE("web pages are kept out: foreign Host 400, any Origin 403, without a body") {
  AgentBench bench;
  const auto foreign = bench.send("GET", "/status", "", "", {{"Host", "evil.example"}});
  CHECK(foreign.status == 400);
  CHECK(foreign.text.empty());
  const auto page = bench.send("GET", "/status", "", "", {{"origin", "https://evil.example"}});
  CHECK(page.status == 403);
  CHECK(page.text.empty());
}

TEST_CASE("targets are decoded once and odd ones name nothing") {
  CHECK(parse_target("/app/%73tatus/x?a=1&follow=true&b")->path == "/app/status/x");
  CHECK(parse_target("/x?follow=tru%65")->value("follow") == "true");
  CHECK_FALSE(parse_target("/x?y")->value("z"));
  CHECK(parse_target("/%2573")->path == "/%73");
  for (const auto* text : {"", "status", "/status/", "//status", "/./status", "/a/../status",
                           "/a%2Fb", "/a%00", "/a%", "/a%4", "/a%zz", "/%ff", "/a/%2e%2e/b"}) {
    INFO(text);
    CHECK_FALSE(parse_target(text));
  }
}

TEST_CASE("unknown paths are 404 with their code, other methods 405 with Allow") {
  AgentBench bench;
  for (const auto* path : {"/nothing", "/", "/status/", "/app/status", "/app/status/a/b",
                           "/sphere/v2", "/sphere/v1/apps/x/nothing", "/STATUS"}) {
    INFO(path);
    const auto answer = bench.send("GET", path);
    CHECK(answer.status == 404);
    CHECK(answer.body().integer_at("error") == 15728642);
    CHECK(answer.header("Sphere-Error") == "15728642");
  }
  for (const auto* method : {"HEAD", "OPTIONS", "POST", "BREW"}) {
    const auto answer = bench.send(method, "/status");
    CHECK(answer.status == 405);
    CHECK(answer.text.empty());
    CHECK(answer.header("Allow") == "GET");
  }
  const auto path = "/app/status/" + test::test_guid(1).text();
  CHECK(bench.send("PUT", path).header("Allow") == "GET, PATCH");
}

TEST_CASE("bodies of a wrong type, size or form are refused and change nothing") {
  AgentBench bench;
  const auto path = "/app/status/" + test::test_guid(1).text();
  CHECK(bench.send("PATCH", path, "trigger=start", "text/plain").status == 415);
  CHECK(bench.send("PATCH", path).status == 415);
  CHECK(bench.send("PUT", "/update/stage", "x", "application/json").status == 415);
  CHECK(bench.send("PATCH", path, "{", "Application/JSON; charset=utf-8").status == 400);
  CHECK(bench.send("PATCH", path, R"({"trigger":1})").status == 400);
  CHECK(bench.send("PATCH", path, R"({"trigger":"fly"})").status == 400);
  CHECK(bench.send("PATCH", path, R"({"trigger":"start","trigger":"stop"})").status == 400);
  const auto large = bench.send("PATCH", path, std::string(kJsonLimit + 1, ' '));
  CHECK(large.status == 400);
  CHECK(large.close);
  CHECK(large.body().integer_at("error") == device_api::kContentLength);
  CHECK(bench.send("POST", "/update/install", R"({"appControlMode":"Maybe"})").status == 400);
  CHECK(bench.send("GET", "/app/status/{x}").status == 400);
}

TEST_CASE("an app that is not there: notPresent, 409 on PATCH, 404 on quota") {
  AgentBench bench;
  const auto id = test::test_guid(7).text();
  CHECK(bench.send("GET", "/app/status/" + id).text == R"({"state":"notPresent"})");
  const auto patched = bench.send("PATCH", "/app/status/" + id, R"({"trigger":"start"})");
  CHECK(patched.status == 409);
  CHECK(patched.body().integer_at("error") == device_api::kAppNotPresent);
  CHECK(bench.send("GET", "/app/quota/" + id).status == 404);
  CHECK(bench.send("GET", "/sphere/v1/apps/" + id + "/sandbox").status == 404);
}

TEST_CASE("startDebug says that the board has no debugger") {
  AgentBench bench;
  bench.debugger = false;
  bench.restart();
  REQUIRE(bench.install({}).status == 200);
  const auto answer = bench.send("PATCH", "/app/status/" + test::test_guid(1).text(),
                                 R"({"trigger":"startDebug"})");
  CHECK(answer.status == 500);
  CHECK(answer.body().integer_at("error") == device_api::kDebuggerMissing);
  CHECK(bench.state_of(1) == "running");
}

TEST_CASE("startDebug starts a running app anew, under the debugger, and frees its ports") {
  AgentBench bench;
  REQUIRE(bench.install({}).status == 200);
  const auto route = "/app/status/" + test::test_guid(1).text();
  const auto debug = "/sphere/v1/apps/" + test::test_guid(1).text() + "/debug";
  CHECK(bench.send("GET", debug).status == 409);

  const auto answer = bench.send("PATCH", route, R"({"trigger":"startDebug"})");

  CHECK(answer.status == 200);
  CHECK(answer.text == R"({"state":"debugging","gdbPort":2345,"outPort":2342})");
  REQUIRE(bench.launcher.orders.size() == 2);
  CHECK(bench.launcher.orders.back().debug);
  CHECK_FALSE(bench.launcher.orders.back().watch_crashes);
  CHECK(bench.state_of(1) == "debugging");
  CHECK(std::filesystem::exists(bench.path() / "2345.sock"));
  CHECK(std::filesystem::exists(bench.path() / "2342.sock"));
  const auto status = bench.send("GET", debug).body();
  CHECK(status.boolean_at("waitingForGdb") == true);
  CHECK(status.string_at("state") == "debugging");

  const auto again = bench.send("PATCH", route, R"({"trigger":"startDebug"})");
  CHECK(again.status == 409);
  CHECK(again.body().integer_at("error") == device_api::kBusy);
  CHECK(again.body().string_at("message").value_or("").find(test::test_guid(1).text()) !=
        std::string::npos);
  CHECK(bench.state_of(1) == "debugging");

  CHECK(bench.send("PATCH", route, R"({"trigger":"stop"})").text == R"({"state":"stopped"})");
  CHECK_FALSE(std::filesystem::exists(bench.path() / "2345.sock"));
  CHECK_FALSE(std::filesystem::exists(bench.path() / "2342.sock"));
}

TEST_CASE("an app that ends under the debugger stays stopped") {
  AgentBench bench;
  REQUIRE(bench.install({}).status == 200);
  const auto id = test::test_guid(1).text();
  REQUIRE(bench.send("PATCH", "/app/status/" + id, R"({"trigger":"startDebug"})").status == 200);

  bench.launcher.apps[id]->end({.code = 3});

  CHECK(bench.soon([&] { return bench.apps->phase(test::test_guid(1)) == Phase::stopped; }));
  CHECK(bench.launcher.orders.size() == 2);
  CHECK_FALSE(std::filesystem::exists(bench.path() / "2345.sock"));
  CHECK(bench.send("PATCH", "/app/status/" + id, R"({"trigger":"start"})").text ==
        R"({"state":"running"})");
  CHECK_FALSE(bench.launcher.orders.back().debug);
}

TEST_CASE("an app that stands ten minutes without gdb is stopped") {
  AgentBench bench;
  REQUIRE(bench.install({}).status == 200);
  const auto id = test::test_guid(1).text();
  REQUIRE(bench.send("PATCH", "/app/status/" + id, R"({"trigger":"startDebug"})").status == 200);
  bench.clock.advance(DebugSession::kGdbLimit - std::chrono::seconds{1});
  bench.on_loop([] {});
  bench.on_loop([] {});
  CHECK(bench.state_of(1) == "debugging");
  bench.clock.advance(std::chrono::seconds{2});
  bench.on_loop([] {});
  CHECK(bench.soon([&] { return bench.apps->phase(test::test_guid(1)) == Phase::stopped; }));
}

TEST_CASE("startDebug without the capability is refused and changes nothing") {
  AgentBench bench{"DeviceComplete"};
  const auto route = "/app/status/" + test::test_guid(1).text();
  CHECK(bench.send("PATCH", route, R"({"trigger":"startDebug"})").status == 403);
  CHECK(bench.launcher.orders.empty());
}

TEST_CASE("a malformed startDebug is refused and changes nothing") {
  AgentBench bench;
  REQUIRE(bench.install({}).status == 200);
  const auto route = "/app/status/" + test::test_guid(1).text();
  for (const auto* body : {R"({"trigger":"StartDebug"})", R"({"trigger":["startDebug"]})",
                           R"({"trigger":null})", R"({})", R"(["startDebug"])", R"("startDebug")",
                           R"({"trigger":"startDebug")", R"({"trigger":"startDebug\u0000"})"}) {
    INFO(body);
    CHECK(bench.send("PATCH", route, body).status == 400);
  }
  CHECK(bench.send("PATCH", "/app/status/no-id", R"({"trigger":"startDebug"})").status == 400);
  CHECK(
      bench.send("PATCH", "/app/status/" + test::test_guid(9).text(), R"({"trigger":"startDebug"})")
          .status == 409);
  CHECK(bench.send("PATCH", route, R"({"trigger":"startDebug"})", "text/plain").status == 415);
  CHECK(bench.launcher.orders.size() == 1);
  CHECK(bench.state_of(1) == "running");
}

TEST_CASE("the state of the board in the words of the API") {
  AgentBench bench;
  bench.clock.advance(std::chrono::seconds{5});
  CHECK(bench.send("GET", "/status").text == R"({"uptime":5})");
  CHECK(bench.send("GET", "/osversion").text == R"({"osversion":"26.11"})");
  CHECK(bench.send("GET", "/abi_versions").body().integer_at("ApplicationRuntime") == 15);
  CHECK(bench.send("GET", "/device/manufacturing_state").text ==
        R"({"manufacturingState":"Blank"})");
  CHECK(bench.send("GET", "/device/security_state").body().string_at("deviceIdentifier") ==
        std::string(128, 'a'));
  CHECK(bench.send("GET", "/sphere/v1").body().find("board")->string_at("name") == "bench");
}

TEST_CASE("restart answers first, then does it") {
  AgentBench bench;
  const auto answer = bench.send("POST", "/restart");
  CHECK(answer.text == R"({"restartingSystem":true})");
  CHECK(answer.close);
  CHECK(bench.restarts == 0);
  CHECK(bench.send("GET", "/status").hang_up);  // The next answer is the next run's.
  answer.after();
  CHECK(bench.restarts == 1);
}

TEST_CASE("virtual peripherals are asked of the board, streams included") {
  AgentBench bench;
  CHECK(bench.send("PUT", "/sphere/v1/virtual/gpio/8", R"({"level":1})").text == R"({"level":1})");
  CHECK(bench.send("GET", "/sphere/v1/virtual").status == 200);
  CHECK(bench.send("GET", "/sphere/v1/virtual/gpio?follow=false").status == 200);
  CHECK(bench.link.forwarded ==
        std::vector<std::string>{R"(PUT /gpio/8 {"level":1})", "GET  ", "GET /gpio?follow=false "});
  const auto missing = bench.send("GET", "/sphere/v1/virtual/nothing");
  CHECK(missing.status == 404);
  CHECK(missing.header("Sphere-Error") == "15728642");
  CHECK(bench.send("POST", "/sphere/v1/virtual/uart/0", "\xff").status == 400);
  CHECK(bench.send("POST", "/sphere/v1/virtual/uart/0", std::string(4000, 'x')).status == 400);

  const auto lines = bench.send("GET", "/sphere/v1/virtual/lines");
  REQUIRE(lines.stream);
  CHECK(lines.stream() == "{\"pin\":8}\n");
  CHECK_FALSE(lines.stream());
}

TEST_CASE("events are read on from a number") {
  AgentBench bench;
  bench.on_loop([&] {
    for (int i = 0; i < 3; ++i) {
      bench.events->add("Test", "", "", json::Value{}.set("i", i));
    }
    bench.events->add("Test", "", "", json::Value{}.set("i", 2));
  });
  const auto all = bench.send("GET", "/sphere/v1/events").body();
  REQUIRE(all.find("events")->items().size() == 3);
  CHECK(all.find("events")->items().back().integer_at("count") == 2);
  CHECK(all.integer_at("next") == 4);
  CHECK(bench.send("GET", "/sphere/v1/events?after=4").body().find("events")->items().empty());
  CHECK(bench.send("GET", "/sphere/v1/events?after=-1").status == 400);
}

TEST_CASE("messages are short printable ASCII, whatever a package holds") {
  CHECK(plain_text("a\x1b[2J\xc3\xa4") == "a?[2J??");
  CHECK(plain_text(std::string(500, 'x')).size() == 200);
}
