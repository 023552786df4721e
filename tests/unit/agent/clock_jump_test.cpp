// SPDX-License-Identifier: MIT
// What a clock that is set does to everything that uses time.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch.hpp>

#include "device-agent/agent/event_log.h"
#include "sphere/core/encoding.h"
#include "sphere/core/file.h"
#include "sphere/core/guid.h"
#include "sphere/crypto/key.h"
#include "sphere/crypto/signer.h"
#include "sphere/image/capability.h"
#include "sphere/json/value.h"
#include "tests/support/fake_clock.h"
#include "tests/unit/agent/agent_bench.h"

namespace {

using namespace sphere;                // NOLINT(google-build-using-namespace): test
using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace): test
using agent::EventLog;
using agent::LoggedEvent;
using sphere::test::AgentBench;

constexpr std::chrono::seconds kDay{86400};

struct Log {
  TemporaryDirectory folder = TemporaryDirectory::create().value();
  test::FakeClock clock;
  EventLog events{folder.path(), clock};

  void add(std::string_view category) { events.add(category, "a", "", json::Value{}); }
  [[nodiscard]] std::vector<LoggedEvent> of(std::string_view category) const {
    std::vector<LoggedEvent> found;
    for (auto& event : events.after(0)) {
      if (event.category == category) {
        found.push_back(event);
      }
    }
    return found;
  }
};

}  // namespace

TEST_CASE("events are counted for an hour that the clock cannot make longer or shorter") {
  for (const auto jump : {kDay, -kDay, 3650 * kDay, -10000 * kDay}) {
    INFO(jump.count());
    Log log;
    log.add("AppExit");
    log.clock.set_by(jump);
    log.add("AppExit");
    REQUIRE(log.of("AppExit").size() == 1);
    CHECK(log.of("AppExit").front().count == 2);
    CHECK(log.of("AppExit").front().first_at <= log.of("AppExit").front().last_at);
    log.clock.advance(3601s);
    log.add("AppExit");
    CHECK(log.of("AppExit").size() == 2);
  }
}

TEST_CASE("a clock that was set is an event before the next one, and a clock that goes is none") {
  Log log;
  log.add("AppExit");
  log.clock.advance(100 * kDay);
  log.clock.set_by(30s);
  log.add("AppExit");
  CHECK(log.of("ClockJump").empty());
  log.clock.set_by(-kDay);
  log.add("AppStarted");
  const auto jumps = log.of("ClockJump");
  REQUIRE(jumps.size() == 1);
  CHECK(jumps.front().fields.integer_at("seconds") == -86400);
  CHECK(log.of("AppStarted").front().seq > jumps.front().seq);
}

TEST_CASE("a clock that is set again and again pushes no event out") {
  Log log;
  log.add("AgentStarted");
  for (int i = 1; i < 6000; ++i) {
    log.clock.set_by(std::chrono::seconds{i % 2 == 0 ? -60 - i : 60 + i});
    log.add("AppExit");
  }
  CHECK(log.of("AgentStarted").size() == 1);
  CHECK(log.of("ClockJump").size() <= EventLog::kKinds + 1);
  CHECK(log.of("AppExit").size() == 1);
}

TEST_CASE("a capability file is in force between its times, however the clock got there") {
  AgentBench bench{"DeviceComplete"};
  const crypto::KeySigner signer{crypto::PrivateKey::generate().value(), std::nullopt};
  REQUIRE(make_directories(bench.path() / "trust/capability"));
  REQUIRE(write_file(bench.path() / "trust/capability/a.pem",
                     "-----BEGIN PUBLIC KEY-----\n" + to_base64(signer.public_key().spki()) +
                         "\n-----END PUBLIC KEY-----\n"));
  const auto now = static_cast<std::uint64_t>(bench.clock.unix_seconds());
  const image::Capability capability{.device_id = bench.device_key.public_key().point(),
                                     .numbers = {11},
                                     .terms = image::CapabilityTerms{.file_id = Guid::random(),
                                                                     .not_before = now - 10,
                                                                     .not_after = now + 1000,
                                                                     .flags = image::kMayBeStored}};
  const auto header = to_base64(
      image::pack_capability({.capability = capability, .component_id = Guid::random()}, signer)
          .value()
          .bytes);
  const auto status = [&] {
    return bench.send("GET", "/images", "", "", {{"AZSPHERE-CAPABILITIES", header}}).status;
  };
  CHECK(status() == 200);
  bench.clock.set_by(kDay);
  CHECK(status() == 403);
  bench.clock.set_by(-2 * kDay);
  CHECK(status() == 403);
  bench.clock.set_by(-30000 * kDay);  // Before 1970.
  CHECK(status() == 403);
  bench.clock.set_by(30001 * kDay);
  CHECK(status() == 200);
}

TEST_CASE("uptime and the budget of identity challenges do not follow the clock") {
  AgentBench bench;
  bench.clock.advance(5s);
  for (const auto jump : {kDay, -2 * kDay}) {
    bench.clock.set_by(jump);
    CHECK(bench.send("GET", "/status").body().integer_at("uptime") == 5);
    CHECK(bench.send("GET", "/log").status == 200);
  }
  const auto challenge = [&] {
    return bench.send("POST", "/sphere/v1/identity", R"({"nonce":"AAAAAAAAAAAAAAAAAAAAAA=="})")
        .status;
  };
  for (int i = 0; i < 5; ++i) {
    CHECK(challenge() == 200);
  }
  bench.clock.set_by(kDay);  // Gives no further ones.
  CHECK(challenge() == 409);
  bench.clock.set_by(-kDay);
  bench.clock.advance(1s);  // A second does.
  CHECK(challenge() == 200);
}
