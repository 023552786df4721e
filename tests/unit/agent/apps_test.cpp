// SPDX-License-Identifier: MIT
// Apps from the outside: REST requests in, states and events out; processes are fakes.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <fcntl.h>
#include <filesystem>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include <catch2/catch.hpp>

#include "tests/unit/agent/agent_bench.h"

namespace {

using namespace std::chrono_literals;
using namespace sphere;  // NOLINT(google-build-using-namespace): test
using sphere::test::AgentBench;
using sphere::test::test_guid;

std::string id(int component) { return test_guid(component).text(); }

std::vector<std::string> categories(AgentBench& bench) {
  return bench.loop->call([&] {
    std::vector<std::string> names;
    for (const auto& event : bench.events->after(0)) {
      names.push_back(event.category);
    }
    return names;
  });
}

bool has(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::int64_t error_of(const AgentBench::Answer& answer) {
  return answer.body().integer_at("error").value_or(0);
}

}  // namespace

TEST_CASE("a staged app is not there; an installed one runs") {
  AgentBench bench;

  REQUIRE(bench.stage({}).status == 200);
  CHECK(bench.state_of(1) == "notPresent");
  CHECK(bench.send("GET", "/images").body().boolean_at("has_staged_updates") == true);
  const auto installed = bench.send("POST", "/update/install");

  INFO(installed.text);
  CHECK(installed.status == 200);
  CHECK(bench.state_of(1) == "running");
  CHECK(bench.launcher.orders.size() == 1);
  CHECK(bench.launcher.orders.front().uid == agent::kFirstAppUid);
}

TEST_CASE("appControlMode Manual installs without a start") {
  AgentBench bench;
  REQUIRE(bench.stage({}).status == 200);

  CHECK(bench.send("POST", "/update/install", R"({"appControlMode":"Manual"})").status == 200);

  CHECK(bench.state_of(1) == "stopped");
  CHECK(bench.launcher.orders.empty());
}

TEST_CASE("stop ends an app for good, start brings it back, each repeatable") {
  AgentBench bench;
  REQUIRE(bench.install({}).status == 200);

  for (int turn = 0; turn < 2; ++turn) {
    const auto stopped = bench.send("PATCH", "/app/status/" + id(1), R"({"trigger":"stop"})");
    CHECK(stopped.text == R"({"state":"stopped"})");
    CHECK(bench.state_of(1) == "stopped");
  }
  CHECK(bench.launcher.apps[id(1)]->terminated == 1);
  for (int turn = 0; turn < 2; ++turn) {
    const auto started = bench.send("PATCH", "/app/status/" + id(1), R"({"trigger":"start"})");
    CHECK(started.text == R"({"state":"running"})");
  }
  CHECK(bench.launcher.orders.size() == 2);
}

TEST_CASE("an app that ignores SIGTERM is killed after its grace") {
  AgentBench bench;
  bench.launcher.ignore_terminate = true;
  REQUIRE(bench.install({}).status == 200);
  const auto app = bench.launcher.apps[id(1)];

  std::thread stopper{[&] {
    CHECK(bench.send("PATCH", "/app/status/" + id(1), R"({"trigger":"stop"})").status == 200);
  }};
  CHECK(bench.soon([&] { return app->terminated == 1; }));
  CHECK_FALSE(bench.loop->call([&] { return app->status.has_value(); }));
  bench.on_loop([&] { bench.clock.advance(600ms); });
  stopper.join();

  CHECK(app->status->signal == SIGKILL);
  CHECK(bench.state_of(1) == "stopped");
}

TEST_CASE("an app that ends starts again at once, and its exit is an event") {
  AgentBench bench;
  REQUIRE(bench.install({}).status == 200);

  bench.on_loop([&] { bench.launcher.apps[id(1)]->end({.code = 3, .signal = 0}); });

  CHECK(bench.soon([&] { return bench.launcher.orders.size() == 2; }));
  CHECK(bench.state_of(1) == "running");
  const auto apps = bench.send("GET", "/sphere/v1/apps").body().find("apps")->items();
  CHECK(apps.front().integer_at("restarts") == 1);
  CHECK(apps.front().find("lastExit")->string_at("kind") == "exit");
  CHECK(apps.front().find("lastExit")->integer_at("code") == 3);
  CHECK(has(categories(bench), "AppExit"));
}

TEST_CASE("an app in back-off is stopped, takes an update, and starts by hand") {
  AgentBench bench;
  REQUIRE(bench.install({}).status == 200);
  for (std::size_t exits = 1; exits <= 5; ++exits) {
    bench.on_loop([&] { bench.launcher.apps[id(1)]->end({.code = 0, .signal = 11}); });
    CHECK(bench.soon([&] { return bench.launcher.orders.size() == exits + 1 || exits == 5; }));
  }

  CHECK(bench.soon([&] { return bench.apps->phase(test_guid(1)) == agent::Phase::backing_off; }));
  CHECK(bench.state_of(1) == "stopped");
  CHECK(has(categories(bench), "AppRestartLoop"));
  CHECK(has(categories(bench), "AppCrash"));

  SECTION("the wait ends it") {
    bench.on_loop([&] { bench.clock.advance(1100ms); });
    CHECK(bench.soon([&] { return bench.launcher.orders.size() == 6; }));
  }
  SECTION("an update starts the new image") {
    CHECK(bench.install({.image = 12}).status == 200);
    CHECK(bench.state_of(1) == "running");
  }
  SECTION("start clears it") {
    CHECK(bench.send("PATCH", "/app/status/" + id(1), R"({"trigger":"start"})").status == 200);
    CHECK(bench.state_of(1) == "running");
  }
  SECTION("stop ends the wait") {
    CHECK(bench.send("PATCH", "/app/status/" + id(1), R"({"trigger":"stop"})").status == 200);
    bench.on_loop([&] { bench.clock.advance(10s); });
    std::this_thread::sleep_for(20ms);
    CHECK(bench.loop->call([&] { return bench.launcher.orders.size(); }) == 5);
  }
  SECTION("delete removes it") {
    CHECK(bench.send("DELETE", "/app/image/" + id(1)).status == 200);
    CHECK(bench.state_of(1) == "notPresent");
  }
}

TEST_CASE(
    "an update stops the old image and keeps storage and user; the same image changes nothing") {
  AgentBench bench;
  const std::string storage = R"({"MutableStorage":{"SizeKB":8}})";
  REQUIRE(bench.install({.capabilities = storage}).status == 200);
  REQUIRE(make_directories(bench.path() / "storage" / id(1)));
  REQUIRE(write_file(bench.path() / "storage" / id(1) / "file", std::string(1500, 'x')));
  const auto first = bench.launcher.apps[id(1)];

  CHECK(bench.install({.capabilities = storage}).status == 200);
  CHECK(bench.launcher.orders.size() == 1);
  CHECK(bench.install({.image = 12, .capabilities = storage}).status == 200);

  CHECK(first->terminated == 1);
  CHECK(bench.launcher.orders.size() == 2);
  CHECK(bench.launcher.orders[0].uid == bench.launcher.orders[1].uid);
  CHECK(bench.launcher.orders[1].file_bytes == 8192);
  CHECK(bench.send("GET", "/app/quota/" + id(1)).text == R"({"UsageKB":2,"LimitKB":8})");
}

TEST_CASE("delete removes image, storage and output; an unknown id is a success") {
  AgentBench bench;
  REQUIRE(bench.install({}).status == 200);
  REQUIRE(make_directories(bench.path() / "storage" / id(1)));

  CHECK(bench.send("DELETE", "/app/image/" + id(1)).text == "{}");
  CHECK(bench.send("DELETE", "/app/image/" + id(1)).text == "{}");

  CHECK(bench.state_of(1) == "notPresent");
  CHECK_FALSE(std::filesystem::exists(bench.path() / "storage" / id(1)));
  CHECK_FALSE(std::filesystem::exists(bench.path() / "log/apps" / id(1)));
  CHECK(std::filesystem::is_empty(bench.path() / "apps/images"));
  CHECK(bench.send("GET", "/app/quota/" + id(1)).status == 404);
}

TEST_CASE("an install with one refused package changes nothing and drops what was staged") {
  AgentBench bench;
  REQUIRE(bench.install({.component = 1, .image = 11, .capabilities = R"({"Gpio":[8]})"}).status ==
          200);
  REQUIRE(bench.stage({.component = 2, .image = 12}).status == 200);
  REQUIRE(bench.stage({.component = 3, .image = 13, .capabilities = R"({"Gpio":[8]})"}).status ==
          200);

  const auto refused = bench.send("POST", "/update/install");

  CHECK(refused.status == 500);
  CHECK(error_of(refused) == device_api::kGpioInUse);
  CHECK(bench.state_of(1) == "running");
  CHECK(bench.state_of(2) == "notPresent");
  CHECK(bench.launcher.orders.size() == 1);
  CHECK(bench.send("POST", "/update/install").text == "{}");
  CHECK(bench.state_of(2) == "notPresent");
}

TEST_CASE("two staged apps that want one pin are refused together") {
  AgentBench bench;
  REQUIRE(bench.stage({.component = 2, .image = 12, .capabilities = R"({"Gpio":[5]})"}).status ==
          200);
  REQUIRE(bench.stage({.component = 3, .image = 13, .capabilities = R"({"Gpio":[5]})"}).status ==
          200);

  CHECK(error_of(bench.send("POST", "/update/install")) == device_api::kGpioInUse);
}

TEST_CASE("a board refuses what it does not have") {
  AgentBench bench;
  SECTION("a pin") {
    CHECK(error_of(bench.install({.capabilities = R"({"Gpio":[40]})"})) ==
          device_api::kUndefinedGpio);
  }
  SECTION("an API set") {
    CHECK(bench.install({.api_set = 16}).header("Sphere-Error") ==
          std::to_string(device_api::kIncompatibleRuntime));
  }
  SECTION("so much storage") {
    CHECK(bench.install({.capabilities = R"({"MutableStorage":{"SizeKB":65}})"}).status == 500);
  }
  CHECK(bench.state_of(1) == "notPresent");
  CHECK(bench.launcher.orders.empty());
}

TEST_CASE("a package of another key, or damaged, is refused when staged") {
  AgentBench bench;
  const auto component = test_guid(1);
  const test::TestSigner stranger;
  auto package = stranger.package(
      {.manifest = test::manifest_text(component),
       .files = {{"bin/app", {.content = test::native_program(), .executable = true}}},
       .component = component,
       .image = test_guid(2)});

  CHECK(error_of(bench.stage_bytes(package)) == device_api::kPackageUntrusted);
  package.resize(package.size() / 2);
  CHECK(error_of(bench.stage_bytes(package)) == device_api::kPackageInvalid);
  CHECK(bench.loop->call([&] { return bench.store->staged().empty(); }));
  CHECK(std::filesystem::is_empty(bench.path() / "apps/staged"));
}

TEST_CASE("apps of a restarted board run again, temporary ones are gone") {
  AgentBench bench;
  REQUIRE(bench.install({.component = 1, .image = 11}).status == 200);
  REQUIRE(bench.install({.component = 2, .image = 12, .temporary = true}).status == 200);
  bench.launcher.orders.clear();

  bench.restart();

  CHECK(bench.state_of(1) == "running");
  CHECK(bench.state_of(2) == "notPresent");
  CHECK(bench.launcher.orders.size() == 1);
}

TEST_CASE("T16 a stored package changed by hand is not started") {
  AgentBench bench;
  REQUIRE(bench.install({}).status == 200);
  REQUIRE(bench.send("PATCH", "/app/status/" + id(1), R"({"trigger":"stop"})").status == 200);
  const auto image = std::filesystem::directory_iterator{bench.path() / "apps/images"} -> path();
  auto bytes = read_file(image, agent::kMaxImageBytes).value();
  bytes[bytes.size() / 3] ^= std::byte{1};
  REQUIRE(write_file(image, bytes));

  const auto started = bench.send("PATCH", "/app/status/" + id(1), R"({"trigger":"start"})");

  CHECK(started.status == 500);
  CHECK(bench.state_of(1) == "stopped");
  CHECK(bench.launcher.orders.size() == 1);
  CHECK(has(categories(bench), "SandboxRefused"));
}

TEST_CASE("an app whose key has left the trust store is not started") {
  AgentBench bench;
  REQUIRE(bench.install({}).status == 200);
  std::filesystem::remove(bench.path() / "trust/development/test.pem");

  bench.restart();

  CHECK(bench.state_of(1) == "stopped");
  CHECK(error_of(bench.send("PATCH", "/app/status/" + id(1), R"({"trigger":"start"})")) ==
        device_api::kPackageUntrusted);
}

TEST_CASE("a refused start answers the cause and leaves the app stopped") {
  AgentBench bench;
  bench.launcher.refuse = Error{Errc::permission, "no such layer", {.value = "L4"}};

  const auto installed = bench.install({});

  CHECK(error_of(installed) == device_api::kInternal);
  CHECK(bench.state_of(1) == "stopped");
  CHECK(has(categories(bench), "SandboxRefused"));
}

TEST_CASE("output is kept over a restart and followed as it comes") {
  AgentBench bench;
  REQUIRE(bench.install({}).status == 200);
  const auto print = [&](std::string_view text) {
    CHECK(bench.loop->call([&] {
      return ::write(bench.launcher.apps[id(1)]->output.get(), text.data(), text.size());
    }) > 0);
  };
  const auto target = "/sphere/v1/apps/" + id(1) + "/output";

  print("first\nline ");
  print("two\n");
  CHECK(bench.soon([&] { return bench.apps->output(test_guid(1))->after(0).size() == 2; }));
  auto follower = bench.send("GET", target + "?follow=true&after=1");
  REQUIRE(follower.stream);
  CHECK(follower.stream()->find("\"text\":\"line two\"") != std::string::npos);
  print("third\n");
  std::string followed;
  CHECK(bench.soon([&] {
    followed += follower.stream().value_or("");  // A piece may be empty: nothing yet.
    return followed.find("\"text\":\"third\"") != std::string::npos;
  }));
  follower.stream = {};
  bench.restart();

  const auto stored = bench.send("GET", target);
  CHECK(stored.text.find("\"text\":\"first\"") != std::string::npos);
  CHECK(stored.text.find("\"text\":\"third\"") != std::string::npos);
  CHECK(bench.send("GET", target + "?after=x").status == 400);
}

TEST_CASE("a follower learns that its app was deleted; the fifth follower is refused") {
  AgentBench bench;
  REQUIRE(bench.install({}).status == 200);
  const auto target = "/sphere/v1/apps/" + id(1) + "/output?follow=true";
  std::vector<AgentBench::Answer> followers;
  for (int i = 0; i < 4; ++i) {
    followers.push_back(bench.send("GET", target));
    CHECK(followers.back().status == 200);
  }

  CHECK(bench.send("GET", target).status == 409);
  REQUIRE(bench.send("DELETE", "/app/image/" + id(1)).status == 200);

  CHECK(followers[0].stream()->find("{\"end\":") != std::string::npos);
  CHECK_FALSE(followers[0].stream());
}

TEST_CASE("a start by hand ends the wait of the back-off, whatever follows") {
  AgentBench bench;
  REQUIRE(bench.install({}).status == 200);
  for (std::size_t exits = 1; exits <= 5; ++exits) {
    bench.on_loop([&] { bench.launcher.apps[id(1)]->end({.code = 0, .signal = SIGSEGV}); });
    CHECK(bench.soon([&] { return bench.launcher.orders.size() == exits + 1 || exits == 5; }));
  }
  REQUIRE(bench.soon([&] { return bench.apps->phase(test_guid(1)) == agent::Phase::backing_off; }));
  const auto patch = [&](const std::string& trigger) {
    return bench.send("PATCH", "/app/status/" + id(1), R"({"trigger":")" + trigger + R"("})")
        .status;
  };
  bench.launcher.ignore_terminate = true;

  bench.on_loop([&] { bench.clock.advance(800ms); });  // The wait is 1 s.
  REQUIRE(patch("start") == 200);
  const auto first = bench.launcher.apps[id(1)];
  std::thread stopper{[&] { CHECK(patch("stop") == 200); }};
  CHECK(bench.soon([&] { return first->terminated == 1; }));
  bench.on_loop([&] { bench.clock.advance(300ms); });  // The wait would end now.
  bench.on_loop([] {});
  bench.on_loop([&] { first->end({.code = 0, .signal = 0}); });
  stopper.join();
  REQUIRE(patch("start") == 200);
  bench.on_loop([&] { bench.clock.advance(300ms); });  // Now the grace of the stop.
  bench.on_loop([] {});
  bench.on_loop([] {});

  CHECK_FALSE(bench.loop->call([&] { return bench.launcher.apps[id(1)]->status.has_value(); }));
}

TEST_CASE("the same image signed again can be installed and started") {
  AgentBench bench;
  REQUIRE(bench.install({}).status == 200);
  REQUIRE(bench.install({}).status == 200);  // Other bytes: a signature is never the same twice.

  CHECK(bench.send("PATCH", "/app/status/" + id(1), R"({"trigger":"stop"})").status == 200);
  const auto started = bench.send("PATCH", "/app/status/" + id(1), R"({"trigger":"start"})");

  INFO(started.text);
  CHECK(started.status == 200);
  CHECK(bench.state_of(1) == "running");
}

TEST_CASE("an app that prints faster than it is read is not held up") {
  AgentBench bench;
  REQUIRE(bench.install({}).status == 200);

  const int flags = ::fcntl(bench.launcher.apps[id(1)]->output.get(), F_GETFL);

  CHECK((flags & O_NONBLOCK) != 0);
}

TEST_CASE("what a deleted app left behind when the power went is gone after the start") {
  AgentBench bench;
  const std::string storage = R"({"MutableStorage":{"SizeKB":8}})";
  REQUIRE(bench.install({.component = 1, .capabilities = storage}).status == 200);
  for (const auto* folder : {"storage", "log/apps"}) {
    for (const int app : {1, 2}) {
      REQUIRE(make_directories(bench.path() / folder / id(app)));
      REQUIRE(write_file(bench.path() / folder / id(app) / "file", "secret"));
    }
  }

  bench.restart();

  for (const auto* folder : {"storage", "log/apps"}) {
    CHECK(std::filesystem::exists(bench.path() / folder / id(1) / "file"));
    CHECK_FALSE(std::filesystem::exists(bench.path() / folder / id(2)));
  }
}

TEST_CASE("a damaged trust store is named, with what to do about it") {
  AgentBench bench;
  REQUIRE(bench.install({}).status == 200);
  REQUIRE(bench.send("PATCH", "/app/status/" + id(1), R"({"trigger":"stop"})").status == 200);
  REQUIRE(write_file(bench.path() / "trust/development/broken.pem", "no key"));

  const auto started = bench.send("PATCH", "/app/status/" + id(1), R"({"trigger":"start"})");
  const auto staged = bench.stage({.image = 12});

  for (const auto& answer : {started, staged}) {
    INFO(answer.text);
    CHECK(answer.status / 100 != 2);
    CHECK(answer.body().string_at("message").value_or("").find("broken.pem") != std::string::npos);
    CHECK_FALSE(answer.body().string_at("next").value_or("").empty());
  }
}

TEST_CASE("an event after a torn row of the log is kept") {
  const auto folder = TemporaryDirectory::create().value();
  const test::FakeClock clock;
  const auto add = [&](const std::string& category) {
    agent::EventLog log{folder.path(), clock};
    log.add(category, "", "", json::Value{json::Object{}});
  };
  add("First");
  const auto path = folder.path() / "events.log";
  REQUIRE(write_file(path, read_text_file(path, 4096).value() + R"({"seq":2,"cat)"));

  add("Second");

  const agent::EventLog log{folder.path(), clock};
  REQUIRE(log.after(0).size() == 2);
  CHECK(log.after(0).back().category == "Second");
}

TEST_CASE("an app's events do not push out those of others") {
  const auto folder = TemporaryDirectory::create().value();
  test::FakeClock clock;
  agent::EventLog log{folder.path(), clock};
  const auto violate = [&](std::int64_t pin) {
    log.add("SandboxViolation", id(1), id(2), json::Value{}.set("call", pin));
  };
  log.add("AppCrash", id(3), id(4), json::Value{}.set("signal_status", 11));

  for (std::int64_t pin = 0; pin < 2 * static_cast<std::int64_t>(agent::EventLog::kEvents); ++pin) {
    violate(pin);
  }

  const auto events = log.after(0, SIZE_MAX);
  CHECK(events.front().category == "AppCrash");
  REQUIRE(events.size() == 1 + agent::EventLog::kKinds + 1);
  CHECK(events.back().count == 2 * agent::EventLog::kEvents - agent::EventLog::kKinds);

  clock.advance(agent::EventLog::kSame + std::chrono::seconds{1});
  violate(1);
  CHECK(log.after(0, SIZE_MAX).back().fields.integer_at("call") == 1);
}

TEST_CASE("a crash with registers is an event of its own beside that of its signal") {
  AgentBench bench;
  REQUIRE(bench.install({}).status == 200);

  bench.on_loop([&] {
    auto& app = *bench.launcher.apps[id(1)];
    app.crash = agent::CrashRecord{
        .signal = SIGSEGV,
        .code = 1,
        .program_counter = {.address = 0x401234, .module = "/mnt/apps/x/bin/app", .offset = 0x1234},
        .return_address = {},
        .thread = "app"};
    app.end({.code = 0, .signal = SIGSEGV});
  });

  CHECK(bench.soon([&] { return bench.launcher.orders.size() == 2; }));
  const auto events = bench.loop->call([&] { return bench.events->after(0); });
  std::vector<json::Value> crashes;
  for (const auto& event : events) {
    if (event.category == "AppCrash") {
      crashes.push_back(event.fields);
    }
  }
  REQUIRE(crashes.size() == 2);
  CHECK(crashes[0].string_at("pc") == "0x401234");
  CHECK(crashes[0].string_at("pc_offset") == "0x1234");
  CHECK(crashes[1].integer_at("signal_status") == SIGSEGV);
  CHECK(crashes[1].integer_at("signal_code") == 1);
}

TEST_CASE("an alarm that nobody handles is reported as the app's watchdog") {
  AgentBench bench;
  REQUIRE(bench.install({}).status == 200);

  bench.on_loop([&] { bench.launcher.apps[id(1)]->end({.code = 0, .signal = SIGALRM}); });

  CHECK(bench.soon([&] { return bench.launcher.orders.size() == 2; }));
  const auto apps = bench.send("GET", "/sphere/v1/apps").body().find("apps")->items();
  CHECK(apps.front().find("lastExit")->string_at("kind") == "watchdog");
  CHECK(apps.front().find("lastExit")->integer_at("code") == SIGALRM);
}

TEST_CASE("a start that is refused after an end is tried again until it succeeds") {
  AgentBench bench;
  REQUIRE(bench.install({}).status == 200);

  bench.on_loop([&] {
    bench.launcher.refuse = Error{Errc::io, "no memory for another process"};
    bench.launcher.apps[id(1)]->end({.code = 1, .signal = 0});
  });
  CHECK(bench.soon([&] { return bench.launcher.orders.size() == 2; }));
  CHECK(bench.state_of(1) == "stopped");
  CHECK(has(categories(bench), "SandboxRefused"));
  bench.on_loop([&] { bench.clock.advance(2s); });
  CHECK(bench.soon([&] { return bench.launcher.orders.size() == 3; }));
  bench.on_loop([&] {
    bench.launcher.refuse.reset();
    bench.clock.advance(300s);
  });

  CHECK(bench.soon([&] { return bench.launcher.orders.size() == 4; }));
  CHECK(bench.state_of(1) == "running");
}

TEST_CASE("an app that leaves its restart loop is an event, once") {
  AgentBench bench;
  REQUIRE(bench.install({}).status == 200);
  for (std::size_t exits = 1; exits <= 5; ++exits) {
    bench.on_loop([&] { bench.launcher.apps[id(1)]->end({.code = 1, .signal = 0}); });
    CHECK(bench.soon([&] {
      return exits == 5 ? bench.apps->phase(test_guid(1)) == agent::Phase::backing_off
                        : bench.launcher.orders.size() == exits + 1;
    }));
  }
  bench.on_loop([&] { bench.clock.advance(2s); });
  CHECK(bench.soon([&] { return bench.launcher.orders.size() == 6; }));
  CHECK_FALSE(has(categories(bench), "AppRecovered"));

  bench.on_loop([&] { bench.clock.advance(301s); });

  CHECK(bench.soon([&] {
    const auto events = bench.events->after(0);
    return std::ranges::any_of(events,
                               [](const auto& event) { return event.category == "AppRecovered"; });
  }));
  bench.on_loop([&] { bench.launcher.apps[id(1)]->end({.code = 1, .signal = 0}); });
  CHECK(bench.soon([&] { return bench.launcher.orders.size() == 7; }));
}

TEST_CASE("T14 a peripheral of one app cannot be had by another, whatever it is used as") {
  AgentBench bench;
  REQUIRE(
      bench.install({.capabilities = R"({"Uart":["ISU0"],"Pwm":["PWM-CONTROLLER-0"]})"}).status ==
      200);
  for (const auto* wish : {R"({"I2cMaster":["ISU0"]})", R"({"SpiMaster":["ISU0"]})",
                           R"({"Uart":["ISU0"]})", R"({"Pwm":["PWM-CONTROLLER-0"]})"}) {
    INFO(wish);
    const auto refused = bench.install({.component = 2, .image = 12, .capabilities = wish});
    CHECK(error_of(refused) == device_api::kPeripheralInUse);
    CHECK(bench.state_of(1) == "running");
    CHECK(bench.state_of(2) == "notPresent");
  }
  CHECK(
      bench.install({.component = 2, .image = 12, .capabilities = R"({"Uart":["ISU1"]})"}).status ==
      200);
}
