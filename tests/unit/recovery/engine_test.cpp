// SPDX-License-Identifier: MIT
#include <chrono>
#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <catch2/catch.hpp>

#include "sphere/core/clock.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/recovery/carrier.h"
#include "sphere/recovery/driver.h"
#include "sphere/recovery/file_set.h"
#include "sphere/recovery/runner.h"
#include "sphere/recovery/table.h"
#include "sphere/transport/byte_stream.h"

namespace sphere::recovery {
namespace {

using namespace std::chrono_literals;

// What a client does at its start, and at the return of its device.
struct Script {
  std::string device_id;
  bool pulled_out = false;  // After its flash was touched.
  bool touches = true;
  bool leaves = false;  // Expects the device under other ids.
};

class ScriptedDriver final : public Driver {
 public:
  explicit ScriptedDriver(Script script) : script_{std::move(script)} {}

  void take(const Input& input, Time now, Actions& actions) override {
    if (std::holds_alternative<Start>(input)) {
      actions.emplace_back(Emit{Identified{.device_id = script_.device_id}});
      actions.emplace_back(Arm{.deadline = now + 1s, .reason = "waiting"});
      if (script_.leaves) {
        actions.emplace_back(ExpectReenumeration{.product = 0x0002, .within = 1s});
        return;
      }
      if (script_.pulled_out) {
        end(actions, Error{Errc::unavailable, "pulled out", {.reason = "link.unplugged"}});
      } else {
        actions.emplace_back(Arm{.deadline = now + 200ms, .reason = "writing"});
      }
    } else if (std::holds_alternative<Cancelled>(input)) {
      end(actions, Error{Errc::cancelled, "interrupted"});
    } else if (std::holds_alternative<LinkBack>(input)) {
      end(actions, std::nullopt);
    } else if (std::holds_alternative<LinkLost>(input)) {
      end(actions, Error{Errc::unavailable, "lost", {.reason = "link.unplugged"}});
    } else if (std::holds_alternative<TimerFired>(input)) {
      // A board of another device id is cancelled before.
      end(actions, std::nullopt);
    }
  }

 private:
  void end(Actions& actions, std::optional<Error> error) const {
    actions.emplace_back(Finish{Outcome{.written = error ? Verdict::no : Verdict::yes,
                                        .flash_touched = script_.touches,
                                        .error = std::move(error)}});
  }

  Script script_;
};

class FakeCarrier final : public Carrier {
 public:
  [[nodiscard]] Result<void> open() override {
    ++opened;
    auto [near, far] = transport::make_pipe().value();
    near_ = std::move(near);
    far_ = std::move(far);
    attached_.usb.serial = serials.empty() ? "" : serials.front();
    if (serials.size() > 1) {
      serials.pop_front();
    }
    return {};
  }
  void close() override { near_.reset(); }
  [[nodiscard]] transport::ByteStream* stream() override { return near_.get(); }
  [[nodiscard]] const Attached& attached() const override { return attached_; }
  [[nodiscard]] bool come_back(const ExpectReenumeration& expected) override {
    wanted_product = expected.product;
    return returns && open().has_value();
  }

  int opened = 0;
  bool returns = true;
  std::deque<std::string> serials;
  std::optional<std::uint16_t> wanted_product;

 private:
  Attached attached_;
  std::unique_ptr<transport::ByteStream> near_;
  std::unique_ptr<transport::ByteStream> far_;
};

struct Bench {
  TemporaryDirectory directory = TemporaryDirectory::create("engine").value();
  SystemClock clock;
  std::optional<FileSet> files;
  FakeCarrier carrier;
  std::vector<Event> events;
  std::deque<Script> scripts;
  unsigned made = 0;

  Outcome run(bool remake = false, Time replug_limit = 500ms) {
    REQUIRE(write_file(directory.path() / "a.bin", std::string_view{"x"}));
    files = FileSet::open(directory.path()).value();
    PreparedRecovery prepared;
    prepared.remake_driver = remake;
    prepared.make_driver = [this](const Attached&) -> Result<std::unique_ptr<Driver>> {
      ++made;
      Script script = scripts.front();
      scripts.pop_front();
      return std::make_unique<ScriptedDriver>(std::move(script));
    };
    REQUIRE(carrier.open());
    return recover_board(prepared, carrier,
                         {.clock = &clock,
                          .files = &*files,
                          .sink = [this](const Event& event, Time) { events.push_back(event); }},
                         replug_limit);
  }
};

TEST_CASE("a board that was touched and pulled out is tried again when it is back") {
  Bench bench;
  bench.scripts = {{.device_id = "a", .pulled_out = true}, {.device_id = "a"}};
  const Outcome outcome = bench.run();
  CHECK_FALSE(outcome.error);
  CHECK(outcome.written == Verdict::yes);
  CHECK(bench.made == 2);
  CHECK(bench.carrier.opened == 2);
}

TEST_CASE("another board at the same place is left alone") {
  Bench bench;
  bench.scripts = {{.device_id = "a", .pulled_out = true}, {.device_id = "b"}};
  const Outcome outcome = bench.run();
  REQUIRE(outcome.error);
  CHECK_THAT(outcome.error->message(), Catch::Contains("another board"));
  CHECK(bench.made == 2);
}

TEST_CASE("a board with another USB serial is not even spoken to") {
  Bench bench;
  bench.carrier.serials = {"one", "two"};
  bench.scripts = {{.device_id = "", .pulled_out = true}};
  const Outcome outcome = bench.run();
  REQUIRE(outcome.error);
  CHECK(outcome.error->hint().reason == "link.unplugged");
  CHECK(bench.made == 1);
}

TEST_CASE("a board that is as it was, or that nobody can know again, is not waited for") {
  Bench bench;
  SECTION("untouched") {
    bench.scripts = {{.device_id = "a", .pulled_out = true, .touches = false}};
  }
  SECTION("unknown") { bench.scripts = {{.device_id = "", .pulled_out = true}}; }
  const Outcome outcome = bench.run();
  REQUIRE(outcome.error);
  CHECK(bench.carrier.opened == 1);
}

TEST_CASE("a board that is pulled out again and again is given up") {
  Bench bench;
  for (unsigned i = 0; i <= kReplugs; ++i) {
    bench.scripts.push_back({.device_id = "a", .pulled_out = true});
  }
  CHECK(bench.run().error);
  CHECK(bench.made == kReplugs + 1);
}

TEST_CASE("a device that comes back under other ids is told to its client, or has a new one") {
  Bench bench;
  SECTION("told") {
    bench.scripts = {{.device_id = "a", .leaves = true}};
    CHECK_FALSE(bench.run().error);
    CHECK(bench.made == 1);
  }
  SECTION("a new client") {
    bench.scripts = {{.device_id = "a", .leaves = true}, {.device_id = "a"}};
    CHECK_FALSE(bench.run(true).error);
    CHECK(bench.made == 2);
  }
  CHECK(bench.carrier.wanted_product == 0x0002);
  CHECK(bench.carrier.opened == 2);
}

TEST_CASE("a device that does not come back in time is a lost link") {
  Bench bench;
  bench.carrier.returns = false;
  bench.scripts = {{.device_id = "", .touches = false, .leaves = true}};
  const Outcome outcome = bench.run();
  REQUIRE(outcome.error);
  CHECK(outcome.error->hint().reason == "link.unplugged");
}

}  // namespace
}  // namespace sphere::recovery
