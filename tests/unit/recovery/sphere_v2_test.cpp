// SPDX-License-Identifier: MIT
#include "sphere/recovery/sphere_v2.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <variant>
#include <vector>

#include <catch2/catch.hpp>

#include "device-agent/virtual-board/recovery/mt3620.h"
#include "tests/support/bytes.h"
#include "tests/support/recovery_bench.h"
#include "tests/support/recovery_set.h"

namespace sphere::recovery {
namespace {

using namespace std::chrono_literals;
using test::RecoveryBench;
using test::RecoveryBenchConfig;
using test::RecoveryBenchReport;
using test::RecoverySet;
using virtual_board::Fault;
using virtual_board::Mt3620;

constexpr std::size_t kSmallFlash = 512 * 1024;

// Signing takes its time: one set for all tests that do not change it.
const RecoverySet& small_set() {
  static const RecoverySet set{{2188, 26672, 5000}};
  return set;
}

std::vector<Fault> faults_of(const std::vector<std::string>& texts) {
  std::vector<Fault> faults;
  for (const std::string& text : texts) {
    faults.push_back(virtual_board::parse_fault(text).value());
  }
  return faults;
}

Mt3620 board_of(const RecoverySet& set, const std::vector<std::string>& faults = {}) {
  Mt3620::Config config{
      .trust = set.trust(), .flash_size = kSmallFlash, .faults = faults_of(faults)};
  for (std::size_t i = 0; i < config.device_id.size(); ++i) {
    config.device_id[i] = static_cast<std::byte>(i);
  }
  return Mt3620{std::move(config)};
}

RecoveryBenchReport run(Mt3620& board, const RecoverySet& set, SphereV2Config config,
                        const std::vector<std::string>& faults = {}, bool paced = true) {
  const auto client = make_sphere_v2(std::move(config));
  RecoveryBench bench{*client,
                      board,
                      set.files(),
                      {.paced = paced, .turnaround = 500us, .faults = faults_of(faults)}};
  return bench.run();
}

RecoveryBenchReport run(Mt3620& board, const RecoverySet& set,
                        const std::vector<std::string>& faults = {}) {
  return run(board, set, set.config(), faults);
}

std::string reason_of(const RecoveryBenchReport& report) {
  if (!report.outcome) {
    return "hung";
  }
  return report.outcome->error ? std::string{report.outcome->error->hint().reason} : "none";
}

void check_good(const RecoveryBenchReport& report, const Mt3620& board) {
  REQUIRE(report.outcome);
  INFO((report.outcome->error ? report.outcome->error->message() : ""));
  CHECK_FALSE(report.outcome->error);
  CHECK(report.outcome->written == Verdict::yes);
  CHECK(report.outcome->verified == Verdict::yes);
  CHECK(board.is_complete());
  CHECK(report.booted);
}

std::vector<Step> steps_of(const RecoveryBenchReport& report) {
  std::vector<Step> steps;
  for (const Event& event : report.events) {
    if (const auto* const step = std::get_if<StepBegun>(&event)) {
      steps.push_back(step->step);
    }
  }
  return steps;
}

TEST_CASE("an erased MT3620 is brought back over recovery v2") {
  auto board = board_of(small_set());
  CHECK_FALSE(board.is_complete());

  const auto report = run(board, small_set());

  check_good(report, board);
  CHECK(report.outcome->images_written == 3);
  CHECK(report.outcome->bytes_written == small_set().manifest().total_size());
  CHECK(report.outcome->flash_touched);
  CHECK(report.files ==
        std::vector<std::string>{"recovery-1bl-rtm.bin", "recovery-runtime.bin",
                                 "recovery.imagemanifest", small_set().image_name(0),
                                 small_set().image_name(1), small_set().image_name(2)});
  CHECK(steps_of(report) == std::vector{Step::enter, Step::identify, Step::loader, Step::erase,
                                        Step::write, Step::reboot});
  CHECK(report.garbled == 0);
  CHECK(report.took > 18s);  // The erase.
  CHECK(report.took < 30s);
}

TEST_CASE("what the board says about itself is told") {
  auto board = board_of(small_set());

  const auto report = run(board, small_set());

  std::string chip;
  std::string device_id;
  for (const Event& event : report.events) {
    if (const auto* const identified = std::get_if<Identified>(&event)) {
      chip = identified->chip;
      device_id = identified->device_id;
    }
  }
  CHECK(chip == "0000362000008A01020A00008FC8C833");
  CHECK(device_id.size() == 128);
  CHECK(device_id.starts_with("000102030405"));
}

TEST_CASE("a recovery at 115,200 baud ends the same") {
  auto config = small_set().config();
  config.fast = false;
  auto board = board_of(small_set());

  const auto report = run(board, small_set(), config);

  check_good(report, board);
  CHECK(report.garbled == 0);
}

TEST_CASE("a board with a broken set on it is brought back") {
  auto board = board_of(small_set());
  board.flash().load(0, std::vector<std::byte>(kSmallFlash, std::byte{0x5A}));

  check_good(run(board, small_set()), board);
}

TEST_CASE("a capability file goes to the board that asks for it") {
  auto set = RecoverySet{{2188}};
  set.files()[std::string{kCapabilityFile}] = std::vector<std::byte>(392, std::byte{7});
  auto config = set.config();
  std::erase_if(config.files, [](const SetFile& file) { return file.name == kCapabilityFile; });
  config.capability_size = 392;
  auto board = board_of(set);

  const auto report = run(board, set, config);

  check_good(report, board);
  CHECK(std::ranges::find(report.files, kCapabilityFile) != report.files.end());
}

TEST_CASE("a recovery survives single faults of the wire") {
  for (const char* fault :
       {"stray=43@out:byte=0", "stray=4343430D0A43@out:byte=20", "drop@out:byte=3",
        "drop@in:byte=100", "drop@in:byte=16000", "flip=2@in:byte=5000", "dup@in:frame=4",
        "drop@in:frame=7", "drop@in:frame=20", "delay=900@in:byte=3000", "drop@out:byte=60",
        "dup@out:byte=90", "flip=4@out:byte=80", "drop@out:byte=170", "storm=00,3000@in:byte=1",
        "drop@in:byte=17100", "drop@in:byte=25000", "flip=0@in:byte=30000", "dup@in:byte=40000"}) {
    INFO(fault);
    auto board = board_of(small_set());
    const auto report = run(board, small_set(), {fault});
    check_good(report, board);
  }
}

TEST_CASE("a recovery survives what its board does amiss") {
  for (const char* fault : {"no-banner", "hello-lost", "nak=3@block=0", "nak=5@block=140",
                            "nak=2@block=250", "slow-erase=290000"}) {
    INFO(fault);
    auto board = board_of(small_set(), {fault});
    check_good(run(board, small_set()), board);
  }
}

TEST_CASE("a board that asks for what it may not have is refused") {
  for (const char* fault : {"name=../x", "name=", "name=other.bin", "name=a/b", "lie-offset=2376",
                            "lie-offset=4000000000"}) {
    INFO(fault);
    auto board = board_of(small_set(), {fault});
    const auto report = run(board, small_set());
    CHECK(reason_of(report) == "recovery.write");
    CHECK_FALSE(board.is_complete());
    for (const std::string& file : report.files) {
      CHECK(small_set().files().contains(file));
    }
  }
}

TEST_CASE("trouble with the flash ends with what it was and what stands") {
  struct Case {
    const char* fault;
    const char* reason;
    const char* says;
  };
  for (const Case& test : {Case{"bad-sector=3", "recovery.write", "FlashEraseFailed"},
                           Case{"flip-flash=36874", "recovery.verify", "DataHashingFailed"},
                           Case{"slow-erase=9999999", "recovery.write", "nothing came in time"}}) {
    INFO(test.fault);
    auto board = board_of(small_set(), {test.fault});
    const auto report = run(board, small_set());
    CHECK(reason_of(report) == test.reason);
    CHECK(report.outcome->error->message().find(test.says) != std::string::npos);
    CHECK_FALSE(report.outcome->error->hint().next.empty());
    CHECK(report.outcome->flash_touched);
    CHECK(report.outcome->written == Verdict::no);
  }
}

TEST_CASE("a silent board ends before anything is touched, after three resets") {
  auto board = board_of(small_set());

  const auto report = run(board, small_set(), {"stall@out:byte=0"});

  CHECK(reason_of(report) == "recovery.no-loader");
  CHECK_FALSE(report.outcome->flash_touched);
  CHECK(board.flash().counters().sectors_erased == 0);
  CHECK(report.took >= 30s);
  CHECK(report.took < 31s);
}

TEST_CASE("loaders that the board does not trust leave its flash alone") {
  for (const std::string name : {"recovery-1bl-rtm.bin", "recovery-runtime.bin"}) {
    INFO(name);
    RecoverySet set{{2188}};
    set.files()[name][100] ^= std::byte{1};
    auto board = board_of(set);
    const auto report = run(board, set);
    CHECK(reason_of(report) ==
          (name == "recovery-runtime.bin" ? "recovery.image-refused" : "recovery.no-loader"));
    CHECK_FALSE(report.outcome->flash_touched);
    CHECK(board.flash().counters().sectors_erased == 0);
  }
}

TEST_CASE("an image that the board refuses ends with the board's words") {
  RecoverySet set{{2188, 4000}};
  set.files()[set.image_name(1)][10] ^= std::byte{1};
  auto board = board_of(set);

  const auto report = run(board, set);

  CHECK(reason_of(report) == "recovery.write");
  CHECK(report.outcome->error->message().find("BadSignature 5") != std::string::npos);
  CHECK(report.outcome->images_written == 2);  // Sent; the board is not complete.
  CHECK_FALSE(board.is_complete());
}

TEST_CASE("a board that was unplugged anywhere is brought back by the next run") {
  auto whole_board = board_of(small_set());
  const auto whole = run(whole_board, small_set());
  std::mt19937 random{11};
  for (int round = 0; round < 50; ++round) {
    const auto at = random() % whole.to_board;
    INFO(at);
    auto board = board_of(small_set());
    const auto cut = run(board, small_set(), {"unplug=500@in:byte=" + std::to_string(at)});
    CHECK(reason_of(cut) == "link.unplugged");
    check_good(run(board, small_set()), board);
  }
}

TEST_CASE("a board whose power failed while flash was written is brought back by the next run") {
  for (int change = 0; change < 38; ++change) {
    INFO(change);
    auto board = board_of(small_set(), {"power-cut@block=" + std::to_string(change)});
    const auto cut = run(board, small_set());
    if (reason_of(cut) == "none") {
      CHECK(change > 36);
      continue;
    }
    CHECK_FALSE(board.is_complete());
    check_good(run(board, small_set()), board);
  }
}

TEST_CASE("XMODEM of 128 bytes is as fast as the wire lets it be") {
  const RecoverySet set{{2188, 400000}};
  auto board = board_of(set, {"slow-erase=32"});

  const auto report = run(board, set);

  check_good(report, board);
  // A block of 133 bytes, its ACK and the turn-around, at 3,000,000 baud; loaders at 115,200.
  constexpr double kBlock = 134.0 / 300000 + 0.0005;
  const double blocks = static_cast<double>(set.manifest().total_size()) / 128;
  const double loaders = (16384 + 6188.0) / 128 * (134.0 / 11520 + 0.0005);
  const double took = std::chrono::duration<double>(report.took).count();
  CHECK(blocks * kBlock + loaders > 0.5 * took);
  CHECK(took - 2.5 < (blocks * kBlock + loaders) / 0.95);
}

struct Driven {
  std::unique_ptr<Driver> client = make_sphere_v2(small_set().config());
  Actions actions;

  void give(const Input& input, Time now = {}) { client->take(input, now, actions); }
  void give_hex(std::string_view hex) {
    const auto bytes = test::from_hex(hex);
    give(Received{.bytes = bytes});
  }
  [[nodiscard]] const Finish* finish() const {
    const auto found = std::ranges::find_if(
        actions, [](const Action& action) { return std::holds_alternative<Finish>(action); });
    return found == actions.end() ? nullptr : &std::get<Finish>(*found);
  }
  // Up to the frames: by way of the ROM's `C`, the file's end, and the two lines.
  void boot() {
    give(Start{});
    give_hex("43");
    Time now = 60ms;
    give(TimerFired{}, now);
    for (std::size_t i = 0; i < actions.size() && i < 5000; ++i) {
      const Action action = actions[i];
      if (const auto* const need = std::get_if<NeedFile>(&action)) {
        const std::vector<std::byte> bytes(need->length);
        give(FileData{.tag = need->tag, .bytes = bytes}, now);
      } else if (std::holds_alternative<Send>(action)) {
        const auto ack = test::from_hex("06");
        give(Received{.bytes = ack}, now);
      }
    }
    const std::string_view lines = "+GOOD\r\n[1BL] BOOT: INIT\r\n";
    give(Received{.bytes = std::as_bytes(std::span{lines})}, now);
    actions.clear();
  }
  [[nodiscard]] std::vector<std::vector<std::byte>> sent() const {
    std::vector<std::vector<std::byte>> sent;
    for (const Action& action : actions) {
      if (const auto* const send = std::get_if<Send>(&action)) {
        sent.push_back(send->bytes);
      }
    }
    return sent;
  }
};

TEST_CASE("the golden questions get the golden answers") {
  Driven driven;
  driven.boot();
  std::vector<std::byte> hello;
  const std::string id(128, '0');
  std::vector<std::byte> data = test::from_hex("01 00 00 00");
  const auto digits = std::as_bytes(std::span{id});
  data.insert(data.end(), digits.begin(), digits.end());
  data.push_back(std::byte{0});
  v2::append_message(v2::Type::initialization, data, hello);

  driven.give(Received{.bytes = hello});
  driven.give_hex("02 05 02 0B 02 01 04 01 49 B2 00 02 04 02 09 01 01 03 D6 F5 00");
  driven.give_hex("02 0C 02 04 02 08 01 01 01 01 07 FF FF FF FF 9E C8 00");
  driven.give_hex("02 04 02 03 01 01 03 7D 9D 00");
  driven.give(Sent{.tag = 1});
  driven.give_hex("02 04 02 02 01 01 03 C9 EB 00");

  const auto sent = driven.sent();
  REQUIRE(sent.size() == 5);
  CHECK(sent[0] == test::from_hex("02 04 02 A0 01 01 03 D7 EC 00"));
  CHECK(sent[1] == test::from_hex("02 05 02 A3 02 01 01 03 21 8A 00"));
  CHECK(sent[3] == test::from_hex("02 05 02 A3 02 01 02 01 02 9A 00"));
  CHECK(sent[4] == test::from_hex("02 04 02 A1 01 01 03 63 9A 00"));
}

TEST_CASE("Ctrl-C stops at once before the erase, and at the second time after it") {
  Driven early;
  early.boot();
  early.give(Cancelled{});
  REQUIRE(early.finish() != nullptr);
  CHECK(early.finish()->outcome.error->code() == Errc::cancelled);
  CHECK(early.sent().front() == test::from_hex("02 04 02 A6 01 01 03 4E CB 00"));

  Driven late;
  late.boot();
  late.give_hex("02 05 02 0B 02 01 04 07 8F D2 00");
  late.give(Cancelled{});
  CHECK(late.finish() == nullptr);
  late.give(Cancelled{});
  REQUIRE(late.finish() != nullptr);
  CHECK(late.finish()->outcome.flash_touched);
}

TEST_CASE("silence at the new speed is answered at the old one, then given up") {
  Driven driven;
  driven.boot();
  driven.give_hex("02 04 02 03 01 01 03 7D 9D 00");
  driven.give(Sent{.tag = 1}, 1s);
  driven.give(TimerFired{}, 5s);
  CHECK(driven.finish() == nullptr);
  const auto slow = std::ranges::find_if(driven.actions, [](const Action& action) {
    const auto* const line = std::get_if<SetLine>(&action);
    return line != nullptr && line->settings.baud == 115200;
  });
  CHECK(slow != driven.actions.end());
  driven.give(TimerFired{}, 9s);
  REQUIRE(driven.finish() != nullptr);
  CHECK(driven.finish()->outcome.error->code() == Errc::timeout);
}

}  // namespace
}  // namespace sphere::recovery
