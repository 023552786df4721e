// SPDX-License-Identifier: MIT
#include "libsdk/src/recovery/stm32.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "device-agent/virtual-board/recovery/flash.h"
#include "device-agent/virtual-board/recovery/stm32.h"
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
using virtual_board::Stm32Board;
using virtual_board::Stm32Device;

constexpr std::size_t kPage = 1024;
constexpr std::uint32_t kBase = 0x08000000;

struct Case {
  Bytes firmware = test::random_bytes(5'001, 3);
  Stm32Board board = {};
  Stm32Plan plan = {};
  test::PairOptions options = {};

  Case() {
    board.needed = {{.offset = 0, .size = firmware.size(), .sha256 = crypto::sha256(firmware)}};
    plan.images = {{.address = kBase, .file = "fw.bin", .size = firmware.size()}};
    plan.page_size = kPage;
    plan.go = kBase;
    options.files = {{"fw.bin", firmware}};
  }
};

struct Done {
  test::PairResult result;
  std::unique_ptr<Stm32Device> device;
};

Done run(Case& test, bool dirty = true) {
  Done done{.result = {},
            .device = std::make_unique<Stm32Device>(test.board, Flash{16 * kPage, kPage})};
  if (dirty) {
    done.device->flash().load(0, test::random_bytes(16 * kPage, 9));
  }
  const auto driver = make_stm32(test.plan).value();
  done.result = test::run_pair(*driver, *done.device, test.options);
  return done;
}

TEST_CASE("an STM32 is erased, written, read back and started") {
  Case test;
  test.board.extended_erase = GENERATE(true, false);
  if (GENERATE(true, false)) {
    test.plan.page_size.reset();
  }
  const auto [result, device] = run(test);

  REQUIRE(result.outcome);
  CHECK_FALSE(result.outcome->error);
  CHECK(result.outcome->written == Verdict::yes);
  CHECK(result.outcome->verified == Verdict::yes);
  CHECK(device->is_complete());
  CHECK(device->flash().counters().sectors_erased == (test.plan.page_size ? 5 : 16));
  CHECK(result.boots == 1);
}

TEST_CASE("a conversation with an STM32 has the bytes of AN3155") {
  Case test;
  test.options.files["fw.bin"] = {std::byte{0xAA}, std::byte{0xBB}};
  test.plan.images.front().size = 2;
  test.plan.page_size.reset();
  const auto [result, device] = run(test, false);

  // clang-format off
  CHECK(test::to_text(result.log) ==
        "> 7f\n" "< 79\n"
        "> 00ff\n" "< 790b310001021121314463738292" "79\n"
        "> 02fd\n" "< 7901041079\n"
        "> 11ee\n" "< 79\n" "> 0800000008\n" "< 79\n" "> 01fe\n" "< 79\n" "< ffff\n"
        "> 44bb\n" "< 79\n" "> ffff00\n" "< 79\n"
        "> 31ce\n" "< 79\n" "> 0800000008\n" "< 79\n" "> 03aabbffff12\n" "< 79\n"
        "> 11ee\n" "< 79\n" "> 0800000008\n" "< 79\n" "> 01fe\n" "< 79\n" "< aabb\n"
        "> 21de\n" "< 79\n" "> 0800000008\n" "< 79\n");
  // clang-format on
}

TEST_CASE("an STM32 that holds the right bytes is not erased") {
  Case test;
  Stm32Device device{test.board, Flash{16 * kPage, kPage}};
  device.flash().load(0, test.firmware);
  test.plan.verify_only = GENERATE(false, true);
  const auto driver = make_stm32(test.plan).value();
  const auto result = test::run_pair(*driver, device, test.options);

  CHECK(result.outcome->verified == Verdict::yes);
  CHECK(result.outcome->images_skipped == 1);
  CHECK(device.flash().counters().sectors_erased == 0);
}

TEST_CASE("verifying only tells a difference and changes nothing") {
  Case test;
  test.plan.verify_only = true;
  const auto [result, device] = run(test);

  REQUIRE(result.outcome->error);
  CHECK(result.outcome->error->hint().reason == "recovery.verify");
  CHECK(device->flash().counters().sectors_erased == 0);
}

TEST_CASE("a chip protected against reading is erased only when that is allowed") {
  Case test;
  test.board.read_protected = true;
  test.board.erase_time = 30s;
  test.plan.allow_mass_erase = GENERATE(false, true);
  const auto [result, device] = run(test);

  REQUIRE(result.outcome);
  if (test.plan.allow_mass_erase) {
    CHECK_FALSE(result.outcome->error);
    CHECK(result.outcome->verified == Verdict::yes);
    CHECK(device->is_complete());
  } else {
    REQUIRE(result.outcome->error);
    CHECK(result.outcome->error->code() == Errc::permission);
    CHECK(device->flash().counters().sectors_erased == 0);
  }
}

TEST_CASE("a chip that is synchronised already is taken as it is") {
  Case test;
  Stm32Device device{test.board, Flash{16 * kPage, kPage}};
  test.options.unplug_at = GENERATE(2U, 6U, 8U);
  auto driver = make_stm32(test.plan).value();
  static_cast<void>(test::run_pair(*driver, device, test.options));
  test.options.unplug_at.reset();
  test.options.keep_power = true;
  driver = make_stm32(test.plan).value();
  const auto result = test::run_pair(*driver, device, test.options);

  CHECK_FALSE(result.outcome->error);
  CHECK(device.is_complete());
}

TEST_CASE("erasing may take 35 seconds, and not 45") {
  Case test;
  test.plan.page_size.reset();
  test.board.erase_time = GENERATE(35s, 45s);
  const auto [result, device] = run(test);

  CHECK(result.outcome->error.has_value() == (test.board.erase_time > 40s));
}

TEST_CASE("a chip that never answers ends the run") {
  Case test;
  test.options.fault = [](const test::WireLine&) { return std::vector<test::Delivery>{}; };
  const auto [result, device] = run(test);

  REQUIRE(result.outcome->error);
  CHECK(result.outcome->error->hint().reason == "recovery.no-loader");
  CHECK(result.time == 5s);
}

TEST_CASE("each single lost piece is made good, or the run ends without a lie") {
  Case test;
  test.firmware.resize(600);
  test.options.files["fw.bin"] = test.firmware;
  test.plan.images.front().size = test.firmware.size();
  test.board.needed = {
      {.offset = 0, .size = test.firmware.size(), .sha256 = crypto::sha256(test.firmware)}};
  const auto pieces = run(test).result.log.size();
  std::size_t rescued = 0;
  for (std::size_t lost = 0; lost < pieces; ++lost) {
    std::size_t index = 0;
    test.options.fault = [&](const test::WireLine& line) -> std::vector<test::Delivery> {
      return index++ == lost ? std::vector<test::Delivery>{}
                             : std::vector<test::Delivery>{{.bytes = line.bytes}};
    };
    const auto [result, device] = run(test);
    INFO(lost);
    REQUIRE(result.outcome);
    CHECK_FALSE(result.waited_without_limit);
    if (result.outcome->verified == Verdict::yes) {
      CHECK(device->is_complete());
      ++rescued;
    } else {
      CHECK(result.outcome->error);
    }
  }
  // All but those of the erase, which is not repeated by chance.
  CHECK(rescued + 4 >= pieces);
}

TEST_CASE("an STM32 pulled out at any piece ends the run with the step") {
  Case test;
  const auto pieces = run(test).result.log.size();
  for (std::size_t at = 0; at < pieces; ++at) {
    test.options.unplug_at = at;
    const auto [result, device] = run(test);
    INFO(at);
    REQUIRE(result.outcome);
    REQUIRE(result.outcome->error);
    CHECK(result.outcome->error->hint().reason == "link.unplugged");
  }
}

TEST_CASE("whatever a line does, an STM32 run ends, and says verified only of what is right") {
  // On a line that is bad now and then nearly all boards are rescued, on one that is bad all the
  // time none has to be.
  const auto noise = GENERATE(1U, 10U);
  std::size_t rescued = 0;
  for (std::uint32_t seed = 0; seed < 200; ++seed) {
    Case test;
    test.options.fault = test::random_faults({.drop = 500 * noise,
                                              .flip = 1'000 * noise,
                                              .duplicate = 500 * noise,
                                              .delay = 500 * noise,
                                              .split = 200'000,
                                              .lose_byte = 1'000 * noise},
                                             seed);
    const auto [result, device] = run(test);
    INFO(seed);
    REQUIRE(result.outcome);
    CHECK_FALSE(result.waited_without_limit);
    if (result.outcome->verified == Verdict::yes) {
      CHECK(device->is_complete());
      ++rescued;
    }
    CHECK((result.outcome->error || result.outcome->written == Verdict::yes));
  }
  CHECK(rescued >= (noise == 1 ? 160U : 0U));
}

TEST_CASE("a plan for an STM32 that makes no sense is refused") {
  Case test;
  CHECK_FALSE(make_stm32({}));
  test.plan.images[0].address = kBase + 1;
  CHECK_FALSE(make_stm32(test.plan));
  test.plan.images[0].address = 0x1000;
  CHECK_FALSE(make_stm32(test.plan));
  test.plan.images[0] = {.address = 0xFFFFFFF0, .file = "fw.bin", .size = 17};
  CHECK_FALSE(make_stm32(test.plan));
}

}  // namespace
}  // namespace sphere::recovery
