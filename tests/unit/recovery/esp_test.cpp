// SPDX-License-Identifier: MIT
#include "libsdk/src/recovery/esp.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <catch2/catch.hpp>

#include "device-agent/virtual-board/recovery/esp.h"
#include "device-agent/virtual-board/recovery/flash.h"
#include "sphere/core/result.h"
#include "sphere/crypto/digest.h"
#include "sphere/recovery/driver.h"
#include "sphere/recovery/event.h"
#include "tests/support/recovery_pair.h"

namespace sphere::recovery {
namespace {

using namespace std::chrono_literals;
using test::Bytes;
using virtual_board::EspBoard;
using virtual_board::EspDevice;
using virtual_board::Flash;

constexpr std::size_t kSector = 4096;
constexpr std::size_t kFlash = 64 * kSector;
constexpr std::uint32_t kSecondAt = 0x8000;

struct Case {
  Bytes first = test::random_bytes(5'001, 3);
  Bytes second = test::random_bytes(2'048, 4);
  EspBoard board = {};
  EspPlan plan = {};
  test::PairOptions options = {};

  Case() { prepare(); }

  void prepare() {
    board.needed = {{.offset = 0, .size = first.size(), .sha256 = crypto::sha256(first)},
                    {.offset = kSecondAt, .size = second.size(), .sha256 = crypto::sha256(second)}};
    plan.images = {
        {.offset = 0, .file = "boot.bin", .size = first.size(), .md5 = crypto::md5(first)},
        {.offset = kSecondAt,
         .file = "app.bin",
         .size = second.size(),
         .md5 = crypto::md5(second)}};
    options.files = {{"boot.bin", first}, {"app.bin", second}};
  }
};

struct Done {
  test::PairResult result;
  std::unique_ptr<EspDevice> device;
};

Done run(Case& test, bool dirty = true) {
  Done done{.result = {},
            .device = std::make_unique<EspDevice>(test.board, Flash{kFlash, kSector})};
  if (dirty) {
    done.device->flash().load(0, test::random_bytes(kFlash, 9));
  }
  const auto driver = make_esp(test.plan).value();
  done.result = test::run_pair(*driver, *done.device, test.options);
  return done;
}

std::string chip_of(const test::PairResult& result) {
  for (const auto& event : result.events) {
    if (const auto* const identified = std::get_if<Identified>(&event)) {
      return identified->chip;
    }
  }
  return {};
}

bool says_good(const Outcome& outcome) {
  return !outcome.error && outcome.written == Verdict::yes && outcome.verified == Verdict::yes;
}

TEST_CASE("an ESP chip is reset into its loader, erased, written, verified and started") {
  Case test;
  test.board.chip = GENERATE(0U, 2U, 5U, 9U, 77U);
  test.board.is_stub = GENERATE(false, true);
  const auto [result, device] = run(test);

  REQUIRE(result.outcome);
  CHECK(says_good(*result.outcome));
  CHECK(device->is_complete());
  CHECK(device->flash().counters().sectors_erased == 3);
  CHECK(result.outcome->images_written == 2);
  CHECK(result.outcome->bytes_written == 7'049);
  CHECK(result.boots >= 1);
  CHECK(chip_of(result) == (test.board.chip == 0   ? "ESP32"
                            : test.board.chip == 2 ? "ESP32-S2"
                            : test.board.chip == 5 ? "ESP32-C3"
                            : test.board.chip == 9 ? "ESP32-S3"
                                                   : "ESP chip 77"));
}

TEST_CASE("a conversation with an ESP ROM has the bytes of its protocol") {
  Case test;
  test.first = {std::byte{0xC0}, std::byte{0xDB}};
  test.prepare();
  test.plan.images.pop_back();
  const auto [result, device] = run(test, false);

  const std::string fives(64, '5');
  const std::string banner =
      "< 76 bytes f2f0b236de719840a38ef3cd484ff61966be1736b43bd01e3e1d0df2fc6cb9d0\n";
  const std::string boot =
      "< 0d0a7273743a3078312028504f5745524f4e292c626f6f743a307863"
      "20285350495f464153545f464c4153485f424f4f54290d0a\n";
  std::string echoes;
  for (int i = 0; i < 8; ++i) {
    echoes += "< c0010804000707122000000000c0\n";
  }
  // The block is 1,024 bytes with 24 in front, two ENDs and two escapes. Digits of hashes are text.
  // clang-format off
  CHECK(test::to_text(result.log) ==
        banner + banner +
        "> c0000824000000000007071220" + fives + "c0\n" + echoes +
        "> c00014000000000000c0\n"
        "< c00114180000000000" "000000000000000000000000" "0500000000000000" "00000000" "c0\n"
        "> c0000d080000000000" "0000000000000000" "c0\n" "< c0010d040000000000" "00000000" "c0\n"
        "> c0000b180000000000" "00000000" "00004000" "00000100" "00100000" "00010000" "ffff0000"
        "c0\n" "< c0010b040000000000" "00000000" "c0\n"
        "> c00013100000000000" "00000000" "02000000" "0000000000000000" "c0\n"
        "< c00113240000000000" "6162326130643238646536623737666664643663373261666561643039"
        "39616200000000c0\n"
        "> c00002140000000000" "00100000" "01000000" "00040000" "00000000" "00000000" "c0\n"
        "< c00102040000000000" "00000000" "c0\n"
        "> 1052 bytes c86c137df0e1bb964a3797efc6aa7e28ba370e577a7d639e791e675636af57ac\n"
        "< c00103040000000000" "00000000" "c0\n"
        "> c00013100000000000" "00000000" "02000000" "0000000000000000" "c0\n"
        "< c00113240000000000" "3232346363303563626434643563356464656338396238303733623930"
        "66623200000000c0\n"
        "> c00004040000000000" "00000000" "c0\n" "< c00104040000000000" "00000000" "c0\n" + boot);
  // clang-format on
}

TEST_CASE("an ESP chip that holds the right bytes is not erased") {
  Case test;
  EspDevice device{test.board, Flash{kFlash, kSector}};
  device.flash().load(0, test.first);
  device.flash().load(kSecondAt, test.second);
  test.plan.verify_only = GENERATE(false, true);
  const auto driver = make_esp(test.plan).value();
  const auto result = test::run_pair(*driver, device, test.options);

  CHECK(says_good(*result.outcome));
  CHECK(result.outcome->images_skipped == 2);
  CHECK(device.flash().counters().sectors_erased == 0);
  CHECK(result.boots == 1);
}

TEST_CASE("only the image that differs is written to an ESP chip, or all") {
  Case test;
  EspDevice device{test.board, Flash{kFlash, kSector}};
  device.flash().load(0, test.first);
  test.plan.write_all = GENERATE(false, true);
  const auto driver = make_esp(test.plan).value();
  const auto result = test::run_pair(*driver, device, test.options);

  CHECK(says_good(*result.outcome));
  CHECK(result.outcome->images_written == (test.plan.write_all ? 2 : 1));
  CHECK(device.flash().counters().sectors_erased == (test.plan.write_all ? 3 : 1));
  CHECK(device.is_complete());
}

TEST_CASE("verifying an ESP chip only tells a difference and changes nothing") {
  Case test;
  test.plan.verify_only = true;
  const auto [result, device] = run(test);

  REQUIRE(result.outcome->error);
  CHECK(result.outcome->error->hint().reason == "recovery.verify");
  CHECK(device->flash().counters().sectors_erased == 0);
}

TEST_CASE("images for another ESP chip are refused before anything is erased") {
  Case test;
  test.plan.chip = 9;
  const auto [result, device] = run(test);

  REQUIRE(result.outcome->error);
  CHECK(result.outcome->error->message() == "the images are for ESP32-S3, the board has ESP32-C3");
  CHECK(result.outcome->error->hint().reason == "recovery.image-refused");
  CHECK(device->flash().counters().sectors_erased == 0);
}

TEST_CASE("an ESP board whose strap nobody drives tells its boot mode") {
  Case test;
  test.board.is_lined = false;
  EspDevice device{test.board, Flash{kFlash, kSector}};
  virtual_board::device::Actions actions;
  device.take(virtual_board::device::PowerOn{.recovery_strap = false}, {}, actions);
  test.options.keep_power = true;
  test.options.fault = {};
  const auto driver = make_esp(test.plan).value();
  const auto result = test::run_pair(*driver, device, test.options);
  REQUIRE(result.outcome->error);
  CHECK(result.outcome->error->message() == "the chip's loader does not answer");
  CHECK(result.outcome->error->hint().reason == "recovery.no-loader");

  // The firmware's message comes while the client waits.
  const auto again = make_esp(test.plan).value();
  recovery::Actions said;
  again->take(Start{}, 0s, said);
  const std::string text = "rst:0x1 (POWERON),boot:0xc (SPI_FAST_FLASH_BOOT)\r\nhello\x1b[31m";
  for (Time now = 100ms; now < 20s; now += 100ms) {
    again->take(Received{std::as_bytes(std::span{text})}, now, said);
    again->take(TimerFired{}, now, said);
  }
  const auto* const end = std::get_if<Finish>(&said.back());
  REQUIRE(end != nullptr);
  CHECK(end->outcome.error->message() ==
        "the chip started its firmware, so its BOOT strap was not low at reset "
        "(boot:0xc (SPI_FAST_FLASH_BOOT))");
}

TEST_CASE("an ESP chip that misses syncs is reset again") {
  Case test;
  test.board.lost_syncs = 4;
  CHECK(says_good(*run(test).result.outcome));
  test.board.lost_syncs = 5;  // All of one reset: the chip forgets with each.
  const auto result = run(test).result;
  CHECK(result.outcome->error->hint().reason == "recovery.no-loader");
  CHECK(result.time < 10s);
}

TEST_CASE("a block that an ESP chip refuses is sent again, or the image written anew") {
  Case test;
  test.board.nak_block = 1;
  test.board.naks = GENERATE(1U, 2U);
  CHECK(says_good(*run(test).result.outcome));
  test.board.naks = 3;
  const auto [result, device] = run(test);
  REQUIRE(result.outcome->error);
  CHECK(result.outcome->error->hint().reason == "recovery.write");
  CHECK(result.outcome->flash_touched);
  CHECK(result.outcome->written == Verdict::no);
}

TEST_CASE("a bad sector and a wrong hash of an ESP chip are no success") {
  Case test;
  EspDevice device{test.board, Flash{kFlash, kSector}};
  device.flash().set_bad_sector(1);
  auto driver = make_esp(test.plan).value();
  CHECK(test::run_pair(*driver, device, test.options).outcome->error->hint().reason ==
        "recovery.write");

  test.board.lies_about_md5 = true;
  const auto result = run(test).result;
  REQUIRE(result.outcome->error);
  CHECK(result.outcome->error->hint().reason == "recovery.verify");
  CHECK(result.outcome->verified == Verdict::no);
}

TEST_CASE("erasing an ESP chip may take its time") {
  Case test;
  test.board.erase_time = GENERATE(2900ms, 60s);
  const auto [result, device] = run(test);
  CHECK(result.outcome->error.has_value() == (test.board.erase_time > 3s));
  CHECK_FALSE(result.waited_without_limit);
}

TEST_CASE("each single lost piece of an ESP run is made good") {
  Case test;
  const auto pieces = run(test).result.log.size();
  for (std::size_t lost = 0; lost < pieces; ++lost) {
    std::size_t index = 0;
    test.options.fault = [&](const test::WireLine& line) -> std::vector<test::Delivery> {
      return index++ == lost ? std::vector<test::Delivery>{}
                             : std::vector<test::Delivery>{{.bytes = line.bytes}};
    };
    const auto [result, device] = run(test);
    INFO(lost);
    REQUIRE(result.outcome);
    CHECK(says_good(*result.outcome));
    CHECK(device->is_complete());
  }
}

TEST_CASE("an ESP board pulled out or interrupted at any piece ends the run with the step") {
  Case test;
  const auto pieces = run(test).result.log.size();
  for (std::size_t at = 0; at + 3 < pieces; ++at) {
    test.options.cancel_at.reset();
    test.options.unplug_at = at;
    auto result = run(test).result;
    INFO(at);
    REQUIRE(result.outcome);
    REQUIRE(result.outcome->error);
    CHECK(result.outcome->error->hint().reason == "link.unplugged");

    test.options.unplug_at.reset();
    test.options.cancel_at = at;
    result = run(test).result;
    REQUIRE(result.outcome);
    // Behind the erase one Ctrl-C only warns.
    CHECK((result.outcome->error ? !result.outcome->flash_touched : says_good(*result.outcome)));
  }
}

TEST_CASE("whatever a line does, an ESP run ends, and says verified only of what is right") {
  const auto noise = GENERATE(1U, 20U);
  std::size_t rescued = 0;
  for (std::uint32_t seed = 0; seed < 100; ++seed) {
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
  CHECK(rescued >= (noise == 1 ? 90U : 1U));
}

TEST_CASE("a plan for an ESP chip that makes no sense is refused") {
  Case test;
  CHECK_FALSE(make_esp({}));
  test.plan.images[1].offset = kSector;  // Over the first.
  CHECK_FALSE(make_esp(test.plan));
  test.plan.images[1].offset = 0x8001;
  CHECK_FALSE(make_esp(test.plan));
  test.plan.images[1].offset = 0x00FFF000;
  test.plan.images[1].size = 4'097;
  CHECK_FALSE(make_esp(test.plan));
  test.plan.images[1].size = 0;
  CHECK_FALSE(make_esp(test.plan));
}

}  // namespace
}  // namespace sphere::recovery
