// SPDX-License-Identifier: MIT
#include "libsdk/src/recovery/dfu.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "device-agent/virtual-board/recovery/device_side.h"
#include "device-agent/virtual-board/recovery/dfu.h"
#include "device-agent/virtual-board/recovery/flash.h"
#include "sphere/core/result.h"
#include "sphere/crypto/digest.h"
#include "sphere/recovery/driver.h"
#include "sphere/recovery/event.h"
#include "tests/support/bytes.h"
#include "tests/support/recovery_pair.h"

namespace sphere::recovery {
namespace {

using namespace std::chrono_literals;
using test::Bytes;
using virtual_board::DfuBoard;
using virtual_board::DfuDevice;
using virtual_board::Flash;

constexpr std::size_t kPage = 2048;
constexpr std::size_t kFlash = 16 * kPage;

struct Case {
  Bytes firmware = test::random_bytes(7'001, 4);
  DfuBoard board = {};
  bool write_all = false;
  bool verify_only = false;
  bool mass_erase = false;
  test::PairOptions options = {};

  Case() { options.files = {{"fw.bin", firmware}}; }
};

struct Done {
  test::PairResult result;
  std::unique_ptr<DfuDevice> device;
};

// The client learns what it needs from the device's descriptors.
std::unique_ptr<Driver> client_for(const DfuDevice& device, const Case& test) {
  const auto descriptor = parse_dfu_descriptor(device.descriptor()).value();
  DfuPlan plan{.descriptor = descriptor,
               .is_running = test.board.is_running,
               .file = "fw.bin",
               .size = test.firmware.size(),
               .write_all = test.write_all,
               .verify_only = test.verify_only};
  if (descriptor.version == kDfuSe) {
    plan.address = test.board.flash_address;
    if (!test.mass_erase) {
      plan.pages = parse_dfuse_layout(device.memory_text()).value();
    }
  }
  return make_dfu(plan).value();
}

Done run(Case& test, bool dirty = true) {
  test.board.needed = {
      {.offset = 0, .size = test.firmware.size(), .sha256 = crypto::sha256(test.firmware)}};
  Done done{.result = {}, .device = std::make_unique<DfuDevice>(test.board, Flash{kFlash, kPage})};
  if (dirty) {
    done.device->flash().load(0, test::random_bytes(kFlash, 9));
  }
  const auto driver = client_for(*done.device, test);
  done.result = test::run_pair(*driver, *done.device, test.options);
  return done;
}

TEST_CASE("a DFU board is written and read back") {
  Case test;
  test.board.dfuse = GENERATE(false, true);
  test.board.is_running = GENERATE(false, true);
  test.mass_erase = GENERATE(false, true);
  test.board.write_time = GENERATE(0ms, 30ms);
  const auto [result, device] = run(test);

  REQUIRE(result.outcome);
  CHECK_FALSE(result.outcome->error);
  CHECK(result.outcome->written == Verdict::yes);
  CHECK(result.outcome->verified == Verdict::yes);
  CHECK(device->is_complete());
  CHECK(device->flash().counters().refused == 0);
}

TEST_CASE("a DFU board that cannot be read, or not any more, is written and not verified") {
  Case test;
  test.board.dfuse = GENERATE(false, true);
  test.board.can_upload = false;
  test.board.tolerant = GENERATE(false, true);
  const auto [result, device] = run(test);

  CHECK_FALSE(result.outcome->error);
  CHECK(result.outcome->written == Verdict::yes);
  CHECK(result.outcome->verified == Verdict::unknown);
  CHECK_FALSE(result.outcome->not_verified.empty());
  CHECK(device->is_complete());
}

TEST_CASE("a conversation with a DFU board has the bytes of DFU 1.1") {
  Case test;
  test.firmware = test::from_hex("68 65 6C 6C 6F");
  test.options.files["fw.bin"] = test.firmware;
  test.board.transfer_size = 4;
  test.write_all = true;
  const auto [result, device] = run(test);

  // clang-format off
  CHECK(test::to_text(result.log) ==
        "> a103000000000600\n" "< 000000000200\n"
        "> 210100000000040068656c6c\n" "< \n" "> a103000000000600\n" "< 000000000500\n"
        "> 21010100000001006f\n" "< \n" "> a103000000000600\n" "< 000000000500\n"
        "> 2101010000000000\n" "< \n" "> a103000000000600\n" "< 000000000200\n"
        "> a103000000000600\n" "< 000000000200\n"
        "> a102000000000400\n" "< 68656c6c\n"
        "> a102010000000400\n" "< 6fffffff\n"
        "> a103000000000600\n" "< 000000000900\n"
        "> 2106000000000000\n" "< \n" "> a103000000000600\n" "< 000000000200\n");
  // clang-format on
}

TEST_CASE("a conversation with a DfuSe board has its commands") {
  Case test;
  test.firmware = test::from_hex("68 65 6C 6C 6F");
  test.options.files["fw.bin"] = test.firmware;
  test.board.dfuse = true;
  test.board.can_upload = false;
  const auto [result, device] = run(test);

  // clang-format off
  CHECK(test::to_text(result.log) ==
        "> a103000000000600\n" "< 000000000200\n"
        "> 21010000000005004100000008\n" "< \n" "> a103000000000600\n" "< 000000000400\n"
        "> a103000000000600\n" "< 000000000500\n"
        "> 21010000000005002100000008\n" "< \n" "> a103000000000600\n" "< 000000000400\n"
        "> a103000000000600\n" "< 000000000500\n"
        "> 210102000000050068656c6c6f\n" "< \n" "> a103000000000600\n" "< 000000000400\n"
        "> a103000000000600\n" "< 000000000500\n"
        "> a103000000000600\n" "< 000000000500\n"
        "> 2106000000000000\n" "< \n" "> a103000000000600\n" "< 000000000200\n"
        "> 21010000000005002100000008\n" "< \n" "> a103000000000600\n" "< 000000000400\n"
        "> a103000000000600\n" "< 000000000500\n"
        "> 2101000000000000\n" "< \n" "> a103000000000600\n" "< 000000000700\n");
  // clang-format on
  CHECK(result.boots == 1);
}

TEST_CASE("what a DFU board has already is not written") {
  Case test;
  test.board.dfuse = GENERATE(false, true);
  test.verify_only = GENERATE(false, true);
  DfuDevice device{test.board, Flash{kFlash, kPage}};
  device.flash().load(0, test.firmware);
  const auto driver = client_for(device, test);
  const auto result = test::run_pair(*driver, device, test.options);

  CHECK_FALSE(result.outcome->error);
  CHECK(result.outcome->verified == Verdict::yes);
  CHECK(result.outcome->images_skipped == 1);
  CHECK(device.flash().counters().sectors_erased == 0);
}

TEST_CASE("verifying a DFU board tells a difference and changes nothing") {
  Case test;
  test.board.dfuse = GENERATE(false, true);
  test.verify_only = true;
  const auto [result, device] = run(test);

  CHECK(result.outcome->error->hint().reason == "recovery.verify");
  CHECK(device->flash().counters().sectors_erased == 0);
}

TEST_CASE("the poll times of a DFU board are kept, up to a limit") {
  Case test;
  test.board.dfuse = true;
  test.mass_erase = true;
  test.board.erase_time = GENERATE(100s, 400s);
  const auto [result, device] = run(test);

  // Asking too early would have led to an error of the board.
  CHECK(result.outcome->error.has_value() == (test.board.erase_time > 300s));
}

TEST_CASE("one error of a DFU board is cleared, and all is written anew") {
  Case test;
  test.board.dfuse = GENERATE(false, true);
  test.write_all = true;
  const auto broken = GENERATE(4U, 9U, 13U);
  test.options.control_fault = [&](std::size_t index,
                                   virtual_board::device::ControlAnswer& answer) {
    if (index == broken && answer.bytes.size() == 6) {
      answer.bytes[0] = std::byte{0x06};
      answer.bytes[4] = std::byte{0x0A};
    }
  };
  const auto [result, device] = run(test);

  // The device is in no error, so that clearing it stalls and makes one.
  CHECK_FALSE(result.outcome->error);
  CHECK(result.outcome->verified == Verdict::yes);
  CHECK(device->is_complete());
}

TEST_CASE("a bad page of a DFU board ends the run with what the board says") {
  Case test;
  test.board.dfuse = GENERATE(false, true);
  DfuDevice device{test.board, Flash{kFlash, kPage}};
  device.flash().set_bad_sector(1);
  const auto driver = client_for(device, test);
  const auto result = test::run_pair(*driver, device, test.options);

  REQUIRE(result.outcome->error);
  CHECK(result.outcome->error->hint().reason == "recovery.write");
  CHECK(result.outcome->error->message().find("cannot be erased") != std::string::npos);
}

TEST_CASE("a DFU board pulled out at any transfer ends the run") {
  Case test;
  test.board.dfuse = GENERATE(false, true);
  const auto pieces = run(test).result.log.size();
  for (std::size_t at = 0; at < pieces; ++at) {
    test.options.unplug_at = at;
    const auto [result, device] = run(test);
    INFO(at);
    REQUIRE(result.outcome);
    CHECK_FALSE(result.waited_without_limit);
    if (result.outcome->verified == Verdict::yes) {
      CHECK(device->is_complete());
    }
  }
}

TEST_CASE("whatever a DFU board answers, a run ends, and says verified only of what is right") {
  for (std::uint32_t seed = 0; seed < 300; ++seed) {
    Case test;
    test.board.dfuse = seed % 2 == 0;
    std::mt19937 random{seed};
    test.options.control_fault = [&](std::size_t /*index*/,
                                     virtual_board::device::ControlAnswer& answer) {
      const auto what = random() % 100;
      if (what == 0) {
        answer.result = UsbResult::stall;
        answer.bytes.clear();
      } else if (what == 1) {
        answer.result = UsbResult::timeout;
        answer.bytes.clear();
      } else if (what < 5 && !answer.bytes.empty()) {
        answer.bytes[random() % answer.bytes.size()] ^= std::byte{4};
      } else if (what == 5 && !answer.bytes.empty()) {
        answer.bytes.pop_back();
      }
    };
    const auto [result, device] = run(test);
    INFO(seed);
    REQUIRE(result.outcome);
    CHECK_FALSE(result.waited_without_limit);
    if (result.outcome->verified == Verdict::yes) {
      CHECK(device->is_complete());
    }
  }
}

TEST_CASE("a board that stays in a state that is not idle ends the run") {
  Case test;
  test.options.control_fault = [](std::size_t /*index*/,
                                  virtual_board::device::ControlAnswer& answer) {
    if (answer.bytes.size() == 6) {
      answer.bytes[4] = std::byte{9};
    }
  };
  const auto [result, device] = run(test);
  REQUIRE(result.outcome);
  CHECK(result.outcome->error->code() == Errc::io);
}

TEST_CASE("DFU suffixes are written and checked") {
  Bytes file = test::from_hex("68 65 6C 6C 6F");
  append_dfu_suffix(file, 0xFFFF, 0xFFFF);
  CHECK(file == test::from_hex("68 65 6C 6C 6F FF FF FF FF FF FF 00 01 55 46 44 10 5A 73 CC 64"));
  CHECK(dfu_content_size(file, 0x0483, 0xDF11) == 5U);

  Bytes spoilt = file;
  spoilt[0] ^= std::byte{1};
  CHECK(dfu_content_size(spoilt, 0x0483, 0xDF11).error().code() == Errc::corrupt);

  Bytes other = test::from_hex("68 65 6C 6C 6F");
  append_dfu_suffix(other, 0x1234, 0xFFFF);
  CHECK(dfu_content_size(other, 0x0483, 0xDF11).error().code() == Errc::invalid_argument);
  CHECK(dfu_content_size(other, 0x1234, 0xDF11) == 5U);
  CHECK(dfu_content_size(test::from_hex("68 65"), 1, 2) == 2U);
  CHECK(dfu_content_size(test::random_bytes(100, 1), 1, 2) == 100U);
}

TEST_CASE("DfuSe layouts are read, with each wrong one refused") {
  const auto pages =
      parse_dfuse_layout("@Internal Flash  /0x08000000/04*016Kg,01*064Ka/0x1FFF0000/02*512Bg")
          .value();
  REQUIRE(pages.size() == 7);
  CHECK(pages[3].address == 0x0800C000);
  CHECK(pages[4].size == 65'536);
  CHECK_FALSE(pages[4].can_erase);
  CHECK(pages[6].address == 0x1FFF0200);
  const auto text = GENERATE(values<std::string_view>(
      {"", "@", "Flash /0x08000000/04*016Kg", "@F /08000000/04*016Kg", "@F /0x08000000/04*016K",
       "@F /0x08000000/04*016Kz", "@F /0x08000000/04*0Kg", "@F /0x08000000/4294967295*016Kg",
       "@F /0xFFFFFFFF/04*016Kg", "@F /0x08000000/04*4294967295Mg", "@F /0x08000000/04*016Kg,",
       "@F /0x08000000/04*016Kg x"}));
  INFO(text);
  CHECK_FALSE(parse_dfuse_layout(text));
}

TEST_CASE("DFU descriptors are read, with each wrong one refused") {
  const auto right = test::from_hex("09 21 0B FF 00 00 08 1A 01");
  const auto descriptor = parse_dfu_descriptor(right).value();
  CHECK(descriptor.can_upload);
  CHECK_FALSE(descriptor.manifestation_tolerant);
  CHECK(descriptor.will_detach);
  CHECK(descriptor.transfer_size == 2048);
  CHECK(descriptor.version == kDfuSe);
  for (std::size_t size = 0; size < 7; ++size) {
    CHECK_FALSE(parse_dfu_descriptor(std::span{right}.first(size)));
  }
  CHECK_FALSE(parse_dfu_descriptor(test::from_hex("09 21 0B FF 00 00 00 1A 01")));
}

TEST_CASE("a DFU plan that makes no sense is refused") {
  const DfuDescriptor descriptor{.can_download = true, .transfer_size = 1024, .version = kDfuSe};
  CHECK_FALSE(make_dfu({.descriptor = descriptor, .file = "f"}));
  CHECK_FALSE(make_dfu({.descriptor = {}, .file = "f", .size = 1}));
  const auto pages = parse_dfuse_layout("@F /0x08000000/04*001Kg").value();
  CHECK(make_dfu({.descriptor = descriptor,
                  .file = "f",
                  .size = 4096,
                  .address = 0x08000000,
                  .pages = pages}));
  CHECK_FALSE(make_dfu({.descriptor = descriptor,
                        .file = "f",
                        .size = 4097,
                        .address = 0x08000000,
                        .pages = pages}));
}

}  // namespace
}  // namespace sphere::recovery
