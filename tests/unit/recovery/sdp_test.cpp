// SPDX-License-Identifier: MIT
#include "libsdk/src/recovery/sdp.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include <catch2/catch.hpp>

#include "device-agent/virtual-board/recovery/flash.h"
#include "device-agent/virtual-board/recovery/sdp.h"
#include "sphere/core/encoding.h"
#include "sphere/core/result.h"
#include "sphere/core/writer.h"
#include "sphere/crypto/digest.h"
#include "sphere/recovery/driver.h"
#include "sphere/recovery/event.h"
#include "tests/support/recovery_pair.h"

namespace sphere::recovery {
namespace {

using namespace std::chrono_literals;
using test::Bytes;
using virtual_board::Flash;
using virtual_board::SdpBoard;
using virtual_board::SdpDevice;

constexpr std::uint32_t kMemory = 0x80000000;
constexpr std::uint32_t kSelf = kMemory + 0x400;
constexpr std::size_t kTableAt = 64;

// 64 bytes in front, the table, boot data, a DCD, and what is started.
Bytes make_image(std::size_t size, bool dcd, std::uint32_t tag = 0x402000D1) {
  Writer out;
  out.bytes(Bytes(kTableAt, std::byte{0x11}));
  for (const std::uint32_t word :
       {tag, kSelf + 0x100, 0U, dcd ? kSelf + 0x40 : 0U, kSelf + 0x20, kSelf, 0U, 0U, kMemory,
        std::uint32_t(size), 0U, 0U, 0U, 0U, 0U, 0U}) {
    out.little_endian(word);
  }
  out.bytes(*from_hex("d2000c40cc0008041234567800000000"));
  out.bytes(test::random_bytes(size - out.size(), 5));
  return std::move(out).take();
}

struct Case {
  Bytes file = make_image(5'000, true);
  SdpBoard board = {};
  SdpChip chip = *find_sdp_chip(0x15A2, 0x0080);
  bool uart = false;
  test::PairOptions options = {};
};

struct Done {
  test::PairResult result;
  std::unique_ptr<SdpDevice> device;
};

Done run(Case& test) {
  const auto sent = std::span{test.file}.subspan(kTableAt);
  auto kept = Bytes{sent.begin(), sent.end()};
  if (!test.chip.skips_dcd) {
    std::fill_n(kept.begin() + 12, 4, std::byte{0});
  }
  test.board.needed = {
      {.offset = kSelf - kMemory, .size = kept.size(), .sha256 = crypto::sha256(kept)}};
  test.board.uart = test.uart;
  test.board.skips_dcd = test.chip.skips_dcd;
  test.options.files = {{"u-boot.imx", test.file}};
  Done done{.result = {},
            .device = std::make_unique<SdpDevice>(test.board, Flash{std::size_t{8} << 20U, 4096})};
  const auto driver = make_sdp({.chip = test.chip,
                                .image = parse_sdp_image(test.file).value(),
                                .file = "u-boot.imx",
                                .size = test.file.size(),
                                .uart = test.uart})
                          .value();
  done.result = test::run_pair(*driver, *done.device, test.options);
  return done;
}

TEST_CASE("an i.MX ROM carries a DCD out, takes an image and starts it") {
  Case test;
  test.uart = GENERATE(false, true);
  test.board.closed = GENERATE(false, true);
  test.board.reversed = GENERATE(false, true);
  test.chip.skips_dcd = GENERATE(false, true);
  const auto [result, device] = run(test);

  REQUIRE(result.outcome);
  CHECK_FALSE(result.outcome->error);
  CHECK(result.outcome->written == Verdict::yes);
  CHECK(result.outcome->verified == Verdict::unknown);
  CHECK_FALSE(result.outcome->flash_touched);
  CHECK(result.outcome->bytes_written == 5'000 - kTableAt);
  CHECK(device->is_complete());
  CHECK(to_hex(device->dcd().first(0)).empty());
  CHECK(result.boots == 1);
  const auto* const identified = std::get_if<Identified>(&result.events.at(test.uart ? 2 : 1));
  REQUIRE(identified != nullptr);
  CHECK(identified->lifecycle == (test.board.closed ? "closed" : "open"));
}

TEST_CASE("an image of more than 2 MiB goes to an i.MX ROM in pieces") {
  Case test;
  test.file = make_image(5'000'003, false);
  const auto [result, device] = run(test);
  CHECK_FALSE(result.outcome->error);
  CHECK(device->is_complete());
}

TEST_CASE("a conversation with an i.MX ROM has the bytes of its protocol") {
  Case test;
  test.file = make_image(200, true);
  test.uart = GENERATE(false, true);
  const auto [result, device] = run(test);
  const auto log = test::to_text(result.log);
  INFO(log);
  const std::string body = to_hex(std::span{test.file}.subspan(kTableAt));
  if (test.uart) {
    // Data has 136 bytes, which the log shows by their digest.
    const auto data = to_hex(crypto::sha256(std::span{test.file}.subspan(kTableAt)));
    CHECK(log ==
          "> 23454523\n< 23454523\n"
          "> 05050000000000000000000000000000\n< 56787856\n< f0f0f0f0\n"
          "> 0a0a00910000000000000c0000000000\n> d2000c40cc00080412345678\n"
          "< 56787856\n< 128a8a12\n"
          "> 04048000040000000000880000000000\n> 136 bytes " +
              data +
              "\n"
              "< 56787856\n< 88888888\n"
              "> 0c0c0000000000000000000000000000\n< 56787856\n< 09d00d90\n"
              "> 0b0b8000040000000000000000000000\n< 56787856\n");
  } else {
    CHECK(log.starts_with("> 0105050000000000000000000000000000\n< 0356787856\n< 65 bytes"));
    CHECK(log.find("> 010404800004000000000088000000000"
                   "0\n> 1025 bytes") != std::string::npos);
    CHECK(log.ends_with("> 010b0b8000040000000000000000000000\n< 0356787856\n"));
  }
}

TEST_CASE("an i.MX ROM may leave its state out; without an answer the run ends") {
  Case test;
  test.board.hides_state = true;
  CHECK_FALSE(run(test).result.outcome->error);
  test.board.is_mute = true;
  const auto result = run(test).result;
  REQUIRE(result.outcome->error);
  CHECK(result.outcome->error->code() == Errc::timeout);
  CHECK(result.time < 20s);
}

TEST_CASE("what an i.MX ROM refuses is told in words") {
  Case test;
  // A closed chip and an image of somebody else.
  test.board.closed = true;
  const auto driver = make_sdp({.chip = test.chip,
                                .image = parse_sdp_image(test.file).value(),
                                .file = "u-boot.imx",
                                .size = test.file.size()})
                          .value();
  test.board.needed = {{.offset = 0, .size = 16, .sha256 = {}}};
  test.options.files = {{"u-boot.imx", test.file}};
  SdpDevice device{test.board, Flash{1U << 20U, 4096}};
  const auto result = test::run_pair(*driver, device, test.options);
  REQUIRE(result.outcome->error);
  CHECK(result.outcome->error->message() ==
        "the chip's ROM refuses step reboot: refused: invalid signature (authenticate image)");
  CHECK(result.boots == 0);

  // RAM that is too small.
  const auto again = make_sdp({.chip = test.chip,
                               .image = parse_sdp_image(test.file).value(),
                               .file = "u-boot.imx",
                               .size = test.file.size()})
                         .value();
  SdpDevice small{test.board, Flash{4096, 4096}};
  CHECK(test::run_pair(*again, small, test.options).outcome->error->message() ==
        "the chip's ROM refuses step loader: refused: invalid address (check target)");
  CHECK(hab_text(*from_hex("69991234")) == "warning: reason 99 (context 12)");
}

TEST_CASE("an i.MX board pulled out or interrupted at any report ends the run with the step") {
  Case test;
  test.uart = GENERATE(false, true);
  const auto pieces = run(test).result.log.size();
  for (std::size_t at = 0; at + 2 < pieces; ++at) {
    INFO(at);
    test.options.unplug_at = at;
    auto result = run(test).result;
    REQUIRE(result.outcome);
    REQUIRE(result.outcome->error);
    CHECK(result.outcome->error->hint().reason == "link.unplugged");
    test.options.unplug_at.reset();
    test.options.cancel_at = at;
    result = run(test).result;
    REQUIRE(result.outcome->error);
    CHECK(result.outcome->error->code() == Errc::cancelled);
    test.options.cancel_at.reset();
  }
}

TEST_CASE("whatever a UART does, a run with an i.MX ROM ends") {
  std::size_t good = 0;
  for (std::uint32_t seed = 0; seed < 200; ++seed) {
    Case test;
    test.uart = true;
    test.options.fault = test::random_faults({.drop = 3'000,
                                              .flip = 3'000,
                                              .duplicate = 3'000,
                                              .delay = 3'000,
                                              .split = 200'000,
                                              .lose_byte = 3'000},
                                             seed);
    const auto [result, device] = run(test);
    INFO(seed);
    REQUIRE(result.outcome);
    CHECK_FALSE(result.waited_without_limit);
    good += result.outcome->error ? 0 : 1;
  }
  CHECK(good > 100);
}

TEST_CASE("an image vector table that lies is refused") {
  CHECK_FALSE(parse_sdp_image({}));
  CHECK_FALSE(parse_sdp_image(Bytes(4096)));
  auto image = make_image(1'000, true);
  const auto poke = [&](std::size_t at, std::uint32_t value) {
    auto copy = image;
    for (std::size_t i = 0; i < 4; ++i) {
      copy[kTableAt + at + i] = static_cast<std::byte>(value >> (8 * i));
    }
    return parse_sdp_image(copy).has_value();
  };
  CHECK(poke(0, 0x402000D1));
  CHECK_FALSE(poke(12, kSelf + 5'000));  // DCD behind the file,
  CHECK_FALSE(poke(12, kSelf + 0x44));   // no DCD there,
  CHECK_FALSE(poke(12, 1));              // far in front.
  CHECK_FALSE(poke(20, 0xFFFFFF00));     // Ends behind the last address.
  CHECK_FALSE(poke(0x40, 0x40FFFFD2));   // A DCD of 65,535 bytes,
  CHECK_FALSE(poke(0x40, 0x400200D2));   // of two.
  // HDMI firmware in front of the table that counts.
  auto hdmi = make_image(512, false, 0x412000D1);
  hdmi[kTableAt + 0x28] = std::byte{2};
  CHECK_FALSE(parse_sdp_image(hdmi));
  hdmi.insert(hdmi.end(), image.begin(), image.end());
  CHECK(parse_sdp_image(hdmi)->offset == 512 + kTableAt);
}

TEST_CASE("a plan for an i.MX ROM that makes no sense is refused") {
  CHECK_FALSE(make_sdp({.chip = *find_sdp_chip(0x15A2, 0x0080), .image = {}, .file = "x"}));
  CHECK_FALSE(make_sdp({.chip = *find_sdp_chip(0x1FC9, 0x0134),
                        .image = {.offset = 0, .dcd_offset = 32, .dcd_size = 8},
                        .file = "x",
                        .size = 64}));
  CHECK(find_sdp_chip(0x1234, 0x0080) == nullptr);
}

}  // namespace
}  // namespace sphere::recovery
