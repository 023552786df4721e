// SPDX-License-Identifier: MIT
#include "libsdk/src/recovery/fastboot.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <catch2/catch.hpp>

#include "device-agent/virtual-board/recovery/device_side.h"
#include "device-agent/virtual-board/recovery/fastboot.h"
#include "device-agent/virtual-board/recovery/flash.h"
#include "sphere/core/encoding.h"
#include "sphere/core/result.h"
#include "sphere/crypto/digest.h"
#include "sphere/recovery/driver.h"
#include "sphere/recovery/event.h"
#include "tests/support/recovery_pair.h"

namespace sphere::recovery {
namespace {

using namespace std::chrono_literals;
using test::Bytes;
using virtual_board::FastbootBoard;
using virtual_board::FastbootDevice;
using virtual_board::Flash;

constexpr std::size_t kSector = 4096;
constexpr std::size_t kFlash = 64 * kSector;

std::string text_of(const Bytes& bytes) {
  const void* const start = bytes.data();
  return {static_cast<const char*>(start), bytes.size()};
}

std::string digest(const Bytes& bytes) { return to_hex(crypto::sha256(bytes)); }

// A board with the partitions boot (16 sectors) and system (48), and the images for them.
struct Case {
  Bytes boot = test::random_bytes(5'000, 1);
  Bytes system = test::random_bytes(100'001, 2);
  FastbootBoard board = {};
  FastbootPlan plan = {};
  test::PairOptions options = {};

  Case() {
    board.partitions = {{.name = "boot", .offset = 0, .size = 16 * kSector},
                        {.name = "system", .offset = 16 * kSector, .size = 48 * kSector}};
    board.needed = {
        {.partition = "boot", .size = boot.size(), .sha256 = crypto::sha256(boot)},
        {.partition = "system", .size = system.size(), .sha256 = crypto::sha256(system)}};
    board.hash_command = true;
    plan.images = {
        {.partition = "boot", .file = "boot.img", .size = boot.size(), .sha256 = digest(boot)},
        {.partition = "system",
         .file = "system.img",
         .size = system.size(),
         .sha256 = digest(system)}};
    plan.hash_command = "oem sha256";
    options.files = {{"boot.img", boot}, {"system.img", system}};
    options.leaves_at_boot = true;
  }
};

struct Done {
  test::PairResult result;
  std::unique_ptr<FastbootDevice> device;
};

Done run(Case& test) {
  Done done{.result = {},
            .device = std::make_unique<FastbootDevice>(test.board, Flash{kFlash, kSector})};
  const auto driver = make_fastboot(test.plan).value();
  done.result = test::run_pair(*driver, *done.device, test.options);
  return done;
}

std::vector<std::string> sent_texts(const test::PairResult& result, bool to_device) {
  std::vector<std::string> texts;
  for (const auto& line : result.log) {
    if (line.to_device == to_device && line.bytes.size() <= 64) {
      texts.push_back(text_of(line.bytes));
    }
  }
  return texts;
}

TEST_CASE("fastboot writes, verifies and restarts a board, over USB and over TCP") {
  Case test;
  test.plan.tcp = GENERATE(false, true);
  test.board.tcp = test.plan.tcp;
  test.board.max_download = GENERATE(1U << 20U, 8192U, 50'000U);

  const auto [result, device] = run(test);

  REQUIRE(result.outcome);
  CHECK_FALSE(result.outcome->error);
  CHECK(result.outcome->written == Verdict::yes);
  CHECK(result.outcome->verified == Verdict::yes);
  CHECK(result.outcome->images_written == 2);
  CHECK(result.outcome->bytes_written == test.boot.size() + test.system.size());
  CHECK(device->is_complete());
  CHECK(device->flash().counters().refused == 0);
  CHECK(result.boots == 1);
}

TEST_CASE("a fastboot conversation over USB has the bytes of the protocol") {
  Case test;
  test.plan.images.pop_back();
  test.plan.hash_command.clear();
  const auto [result, device] = run(test);

  CHECK(sent_texts(result, true) ==
        std::vector<std::string>{"getvar:version", "getvar:product", "getvar:serialno",
                                 "getvar:max-download-size", "getvar:partition-size:boot",
                                 "download:00001388", "flash:boot", "reboot"});
  CHECK(sent_texts(result, false) == std::vector<std::string>{"OKAY0.4", "OKAYsphere-virtual",
                                                              "OKAY0123456789", "OKAY0x04000000",
                                                              "OKAY0x10000", "DATA00001388", "OKAY",
                                                              "OKAY", "OKAY"});
  CHECK(result.outcome->verified == Verdict::unknown);
  CHECK_FALSE(result.outcome->not_verified.empty());
}

TEST_CASE("a fastboot conversation over TCP greets and puts a length before each packet") {
  Case test;
  test.plan.tcp = true;
  test.board.tcp = true;
  test.plan.images = {{.partition = "boot", .file = "tiny", .size = 5}};
  test.plan.hash_command.clear();
  test.options.files["tiny"] = {std::byte{'h'}, std::byte{'e'}, std::byte{'l'}, std::byte{'l'},
                                std::byte{'o'}};
  const auto [result, device] = run(test);

  CHECK(test::to_text(result.log) ==
        "> 46423031\n< 46423031\n"
        "> 000000000000000e6765747661723a76657273696f6e\n< 00000000000000074f4b4159302e34\n"
        "> 000000000000000e6765747661723a70726f64756374\n"
        "< 00000000000000124f4b41597370686572652d7669727475616c\n"
        "> 000000000000000f6765747661723a73657269616c6e6f\n"
        "< 000000000000000e4f4b415930313233343536373839\n"
        "> 00000000000000186765747661723a6d61782d646f776e6c6f61642d73697a65\n"
        "< 000000000000000e4f4b415930783034303030303030\n"
        "> 000000000000001a6765747661723a706172746974696f6e2d73697a653a626f6f74\n"
        "< 000000000000000b4f4b415930783130303030\n"
        "> 0000000000000011646f776e6c6f61643a3030303030303035\n"
        "< 000000000000000c444154413030303030303035\n"
        "> 000000000000000568656c6c6f\n< 00000000000000044f4b4159\n"
        "> 000000000000000a666c6173683a626f6f74\n< 00000000000000044f4b4159\n"
        "> 00000000000000067265626f6f74\n< 00000000000000044f4b4159\n");
}

TEST_CASE("what a board has already is not written again") {
  Case test;
  FastbootDevice device{test.board, Flash{kFlash, kSector}};
  device.flash().load(0, test.boot);
  device.flash().load(16 * kSector, test.system);
  test.plan.verify_only = GENERATE(false, true);

  const auto driver = make_fastboot(test.plan).value();
  const auto result = test::run_pair(*driver, device, test.options);

  CHECK(result.outcome->verified == Verdict::yes);
  CHECK(result.outcome->images_written == 0);
  CHECK(device.flash().counters().sectors_erased == 0);
  CHECK_FALSE(result.outcome->flash_touched);
}

TEST_CASE("verifying only changes nothing on a board that differs") {
  Case test;
  test.plan.verify_only = true;
  const auto [result, device] = run(test);

  REQUIRE(result.outcome->error);
  CHECK(result.outcome->error->hint().reason == "recovery.verify");
  CHECK(device->flash().counters().sectors_erased == 0);
}

TEST_CASE("an image without room is refused before anything is erased") {
  Case test;
  test.board.partitions[1].size = 16 * kSector;
  const auto [result, device] = run(test);

  REQUIRE(result.outcome->error);
  CHECK(result.outcome->error->hint().reason == "recovery.image-refused");
  CHECK(device->flash().counters().sectors_erased == 0);
}

TEST_CASE("a board that takes nearly nothing is refused before anything is erased") {
  Case test;
  test.board.max_download = 100;
  const auto [result, device] = run(test);

  CHECK(result.outcome->error->code() == Errc::unsupported);
  CHECK(device->flash().counters().sectors_erased == 0);
}

TEST_CASE("FAIL of a locked board is shown, with what it said") {
  Case test;
  test.board.locked = true;
  const auto [result, device] = run(test);

  REQUIRE(result.outcome->error);
  CHECK(result.outcome->error->message().find("device is locked") != std::string::npos);
  CHECK(result.outcome->error->hint().reason == "recovery.write");
}

TEST_CASE("a flash that was damaged behind our back is found by its hash") {
  Case test;
  FastbootDevice device{test.board, Flash{kFlash, kSector}};
  test.options.fault = [&](const test::WireLine& line) -> std::vector<test::Delivery> {
    if (line.to_device && text_of(line.bytes) == "oem sha256 system 100001" &&
        device.flash().counters().bytes_programmed > 0) {
      device.flash().flip(16 * kSector + 100'000);
    }
    return {{.bytes = line.bytes}};
  };
  const auto driver = make_fastboot(test.plan).value();
  const auto result = test::run_pair(*driver, device, test.options);

  CHECK(result.outcome->error->hint().reason == "recovery.verify");
  CHECK(result.outcome->verified == Verdict::no);
}

TEST_CASE("an erase of 40 seconds passes, with its INFO as a log") {
  Case test;
  test.board.flash_time = 40s;
  const auto [result, device] = run(test);

  CHECK_FALSE(result.outcome->error);
  CHECK(result.time > 80s);
  CHECK(std::any_of(result.events.begin(), result.events.end(), [](const Event& event) {
    const auto* const log = std::get_if<DeviceLog>(&event);
    return log != nullptr && log->text == "writing";
  }));
}

TEST_CASE("a board that lies about sizes ends the run") {
  struct Lie {
    std::string_view instead_of;
    std::string_view said;
  };
  const auto lie = GENERATE(values<Lie>({{"DATA00001388", "DATA00001389"},
                                         {"DATA00001388", "DATA"},
                                         {"DATA00001388", "DATAffffffffffffffffff"},
                                         {"DATA00001388", "OKAY"},
                                         {"OKAY0.4", "DATA00000010"},
                                         {"OKAY0.4", "OK"},
                                         {"OKAY0x10000", "OKAY0x1"},
                                         {"OKAY0x04000000", "OKAY0x00"}}));
  Case test;
  test.options.fault = [&](const test::WireLine& line) -> std::vector<test::Delivery> {
    if (!line.to_device && text_of(line.bytes) == lie.instead_of) {
      const auto said = std::as_bytes(std::span{lie.said});
      return {{.bytes = {said.begin(), said.end()}}};
    }
    return {{.bytes = line.bytes}};
  };
  const auto [result, device] = run(test);

  INFO(lie.said);
  REQUIRE(result.outcome);
  CHECK(result.outcome->error);
  CHECK(device->flash().counters().sectors_erased == 0);
}

TEST_CASE("an answer over TCP longer than answers are is refused at its header") {
  Case test;
  test.plan.tcp = true;
  test.board.tcp = true;
  test.options.fault = [](const test::WireLine& line) -> std::vector<test::Delivery> {
    Bytes bytes = line.bytes;
    if (!line.to_device && bytes.size() > 8) {
      bytes[0] = std::byte{0x7F};
    }
    return {{.bytes = bytes}};
  };
  const auto [result, device] = run(test);

  CHECK(result.outcome->error->code() == Errc::corrupt);
}

TEST_CASE("INFO without end does not keep a run alive without end") {
  Case test;
  test.board.flash_time = 20h;
  test.options.limit = 24h;
  const auto [result, device] = run(test);

  REQUIRE(result.outcome);
  CHECK(result.outcome->error->code() == Errc::timeout);
}

TEST_CASE("a board pulled out at any piece ends the run with the step") {
  Case test;
  test.plan.tcp = true;
  test.board.tcp = true;
  const auto pieces = run(test).result.log.size();
  for (std::size_t at = 0; at < pieces; ++at) {
    test.options.unplug_at = at;
    const auto [result, device] = run(test);
    INFO(at);
    REQUIRE(result.outcome);
    // Behind the order to restart a lost board is what is expected.
    if (at + 2 < pieces) {
      REQUIRE(result.outcome->error);
      CHECK(result.outcome->error->hint().reason == "link.unplugged");
    }
    CHECK_FALSE(result.waited_without_limit);
  }
}

TEST_CASE("Ctrl-C ends a run at once before the flash is touched, later at the second time") {
  Case test;
  const auto whole = run(test).result;
  for (std::size_t at = 0; at < whole.log.size(); ++at) {
    test.options.cancel_at = at;
    const auto [result, device] = run(test);
    INFO(at);
    REQUIRE(result.outcome);
    if (device->flash().counters().sectors_erased == 0) {
      CHECK(result.outcome->error->code() == Errc::cancelled);
    } else {
      CHECK_FALSE(result.outcome->error);
      CHECK(device->is_complete());
    }
  }
}

TEST_CASE("whatever a wire does, a run ends, and says verified only of what is right") {
  for (std::uint32_t seed = 0; seed < 300; ++seed) {
    Case test;
    test.plan.tcp = seed % 2 == 0;
    test.board.tcp = test.plan.tcp;
    test.board.max_download = seed % 3 == 0 ? 20'000 : 1U << 20U;
    test.options.fault = test::random_faults({.drop = 20'000,
                                              .flip = 50'000,
                                              .duplicate = 20'000,
                                              .delay = 20'000,
                                              .split = test.plan.tcp ? 200'000U : 0},
                                             seed);
    const auto [result, device] = run(test);
    INFO(seed);
    REQUIRE(result.outcome);
    CHECK_FALSE(result.waited_without_limit);
    if (result.outcome->verified == Verdict::yes) {
      CHECK(device->is_complete());
    }
    CHECK((result.outcome->error || result.outcome->written == Verdict::yes));
  }
}

TEST_CASE("a plan that makes no sense is refused") {
  Case test;
  CHECK_FALSE(make_fastboot({}));
  test.plan.images[0].partition = "a boot";
  CHECK_FALSE(make_fastboot(test.plan));
  test.plan.images[0].partition = "boot";
  test.plan.images[0].sha256 = "00";
  CHECK_FALSE(make_fastboot(test.plan));
  test.plan.images[0].size = 0;
  CHECK_FALSE(make_fastboot(test.plan));
}

}  // namespace
}  // namespace sphere::recovery
