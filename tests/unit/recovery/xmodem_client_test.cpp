// SPDX-License-Identifier: MIT
#include "libsdk/src/recovery/xmodem_client.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include <catch2/catch.hpp>

#include "device-agent/virtual-board/recovery/flash.h"
#include "device-agent/virtual-board/recovery/xmodem.h"
#include "sphere/core/result.h"
#include "sphere/crypto/digest.h"
#include "sphere/recovery/driver.h"
#include "sphere/recovery/event.h"
#include "tests/support/recovery_pair.h"

namespace sphere::recovery {
namespace {

using namespace std::chrono_literals;
using test::Bytes;
using virtual_board::Flash;
using virtual_board::XmodemBoard;
using virtual_board::XmodemDevice;

struct Case {
  Bytes file = test::random_bytes(5'001, 3);
  XmodemBoard board = {};
  XmodemPlan plan = {};
  test::PairOptions options = {};

  Case() {
    board.size = file.size();
    board.needed = {{.offset = 0, .size = file.size(), .sha256 = crypto::sha256(file)}};
    plan = {.file = "fw.bin", .size = file.size(), .answer = "+GOOD"};
    options.files = {{"fw.bin", file}};
  }
};

struct Done {
  test::PairResult result;
  std::unique_ptr<XmodemDevice> device;
};

Done run(Case& test) {
  Done done{.result = {}, .device = std::make_unique<XmodemDevice>(test.board, Flash{16384, 4096})};
  const auto driver = make_xmodem(test.plan).value();
  done.result = test::run_pair(*driver, *done.device, test.options);
  return done;
}

TEST_CASE("a loader takes a file by XMODEM, checks and starts it") {
  Case test;
  test.plan.large_blocks = GENERATE(false, true);
  test.board.banner = GENERATE("", "RECOVERY\r\n0000362000008A01020A00008FC8C833\r\n");
  test.board.naks = GENERATE(0U, 3U);
  const auto [result, device] = run(test);
  REQUIRE(result.outcome);
  CHECK_FALSE(result.outcome->error);
  CHECK(result.outcome->verified == Verdict::yes);
  CHECK(device->is_complete());
  CHECK(result.boots == 1);
}

TEST_CASE("an XMODEM loader without an answer is not believed") {
  Case test;
  test.plan.answer.clear();
  CHECK(run(test).result.outcome->verified == Verdict::unknown);
}

TEST_CASE("an XMODEM loader that says the file is bad, or is never ready, ends the run") {
  Case test;
  test.board.needed.front().sha256 = {};
  auto result = run(test).result;
  REQUIRE(result.outcome->error);
  CHECK(result.outcome->error->message() ==
        "the loader does not take the file: \"-BAD\\x0d\\x0a\"");
  test.options.fault = [](const test::WireLine&) { return std::vector<test::Delivery>{}; };
  result = run(test).result;
  CHECK(result.outcome->error->hint().reason == "recovery.no-loader");
  CHECK(result.time <= 61s);
  CHECK_FALSE(make_xmodem({}));
}

TEST_CASE("an XMODEM board pulled out or interrupted at any piece ends the run") {
  Case test;
  const auto pieces = run(test).result.log.size();
  for (std::size_t at = 0; at < pieces; ++at) {
    INFO(at);
    test.options.unplug_at = at;
    CHECK(run(test).result.outcome->error->hint().reason == "link.unplugged");
    test.options.unplug_at.reset();
    test.options.cancel_at = at;
    CHECK(run(test).result.outcome.has_value());
    test.options.cancel_at.reset();
  }
}

TEST_CASE("whatever a line does, an XMODEM run ends, and says verified only of what is right") {
  std::size_t rescued = 0;
  for (std::uint32_t seed = 0; seed < 100; ++seed) {
    Case test;
    test.options.fault = test::random_faults({.drop = 2'000,
                                              .flip = 4'000,
                                              .duplicate = 2'000,
                                              .delay = 2'000,
                                              .split = 200'000,
                                              .lose_byte = 4'000},
                                             seed);
    const auto [result, device] = run(test);
    INFO(seed);
    REQUIRE(result.outcome);
    CHECK_FALSE(result.waited_without_limit);
    if (result.outcome->verified == Verdict::yes) {
      CHECK(device->is_complete());
      ++rescued;
    }
  }
  CHECK(rescued > 70);
}

}  // namespace
}  // namespace sphere::recovery
