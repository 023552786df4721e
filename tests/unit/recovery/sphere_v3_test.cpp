// SPDX-License-Identifier: MIT
#include "sphere/recovery/sphere_v3.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <catch2/catch.hpp>

#include "device-agent/virtual-board/recovery/sphere_v3.h"
#include "sphere/crypto/key.h"
#include "sphere/recovery/cobs.h"
#include "sphere/recovery/v3_messages.h"
#include "tests/support/recovery_bench.h"
#include "tests/support/recovery_set_v3.h"

namespace sphere::recovery {
namespace {

using namespace std::chrono_literals;
using test::RecoveryBench;
using test::RecoveryBenchReport;
using test::RecoverySetV3;
using virtual_board::Fault;
using virtual_board::SphereV3Board;

constexpr std::size_t kFlash = 1024 * 1024;

// Making keys takes its time: one set and one identity for all tests that do not change them.
const RecoverySetV3& small_set() {
  static const RecoverySetV3 set{{5000, 200000, 4096}};
  return set;
}
std::shared_ptr<const crypto::PrivateKey> identity() {
  static const auto key =
      std::make_shared<const crypto::PrivateKey>(crypto::PrivateKey::generate().value());
  return key;
}

std::vector<Fault> faults_of(const std::vector<std::string>& texts) {
  std::vector<Fault> faults;
  for (const std::string& text : texts) {
    faults.push_back(virtual_board::parse_fault(text).value());
  }
  return faults;
}

SphereV3Board::Config board_config(const RecoverySetV3& set,
                                   const std::vector<std::string>& faults = {}) {
  auto count = std::make_shared<std::uint8_t>(std::uint8_t{0});
  return {.trust = set.trust(),
          .identity = identity(),
          .floor = 7,
          .flash_size = kFlash,
          .faults = faults_of(faults),
          .nonce = [count] {
            v3::Nonce nonce{};
            nonce.fill(std::byte{++*count});
            return nonce;
          }};
}

struct Line {
  std::vector<std::string> faults = {};
  bool paced = true;
  Time turnaround = 2ms;
  std::uint32_t seed = 1;
  bool has_lines = true;
};

RecoveryBenchReport run(SphereV3Board& board, const RecoverySetV3& set, SphereV3Config config,
                        const Line& line = {}) {
  const auto client = make_sphere_v3(std::move(config));
  RecoveryBench bench{*client,
                      board,
                      set.files(),
                      {.paced = line.paced,
                       .turnaround = line.turnaround,
                       .faults = faults_of(line.faults),
                       .seed = line.seed,
                       .has_lines = line.has_lines}};
  return bench.run();
}
RecoveryBenchReport run(SphereV3Board& board, const RecoverySetV3& set, const Line& line = {}) {
  return run(board, set, set.config(), line);
}

std::string reason_of(const RecoveryBenchReport& report) {
  if (!report.outcome) {
    return "hung";
  }
  return report.outcome->error ? std::string{report.outcome->error->hint().reason} : "none";
}

std::string message_of(const RecoveryBenchReport& report) {
  return report.outcome && report.outcome->error ? report.outcome->error->message() : "";
}

void check_good(const RecoveryBenchReport& report, const SphereV3Board& board) {
  REQUIRE(report.outcome);
  INFO(message_of(report));
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

TEST_CASE("an erased board is brought back over recovery v3") {
  SphereV3Board board{board_config(small_set())};
  CHECK_FALSE(board.is_complete());

  const auto report = run(board, small_set());

  check_good(report, board);
  CHECK(report.outcome->images_written == 3);
  CHECK(report.outcome->images_skipped == 0);
  CHECK(report.outcome->bytes_written == small_set().manifest().total_size());
  CHECK(report.files == std::vector<std::string>{"sphere.recoverymanifest", "image-0.bin",
                                                 "image-1.bin", "image-2.bin"});
  CHECK(steps_of(report) == std::vector{Step::enter, Step::identify, Step::inventory, Step::erase,
                                        Step::write, Step::verify, Step::reboot});
  CHECK(report.garbled == 0);
}

TEST_CASE("a board that is right already is confirmed without a change of its flash") {
  SphereV3Board board{board_config(small_set())};
  check_good(run(board, small_set()), board);
  const auto before = board.flash().counters();

  const auto report = run(board, small_set());

  check_good(report, board);
  CHECK(report.outcome->images_written == 0);
  CHECK(report.outcome->images_skipped == 3);
  CHECK_FALSE(report.outcome->flash_touched);
  CHECK(board.flash().counters().sectors_erased == before.sectors_erased);
  CHECK(board.flash().counters().bytes_programmed == before.bytes_programmed);
}

TEST_CASE("only what differs is written, and all of it when that is asked for") {
  SphereV3Board board{board_config(small_set())};
  check_good(run(board, small_set()), board);
  const auto place =
      std::ranges::search(board.flash().bytes(), small_set().files().at("image-1.bin"));
  board.flash().flip(static_cast<std::size_t>(place.begin() - board.flash().bytes().begin()) + 5);
  CHECK_FALSE(board.is_complete());

  const auto changed = run(board, small_set());

  check_good(changed, board);
  CHECK(changed.outcome->images_written == 1);
  CHECK(changed.outcome->images_skipped == 2);
  CHECK(changed.files == std::vector<std::string>{"sphere.recoverymanifest", "image-1.bin"});

  auto config = small_set().config();
  config.mode = v3::Mode::write_all;
  const auto all = run(board, small_set(), config);
  check_good(all, board);
  CHECK(all.outcome->images_written == 3);
}

TEST_CASE("a check alone changes nothing and tells what differs") {
  SphereV3Board board{board_config(small_set())};
  auto config = small_set().config();
  config.mode = v3::Mode::verify_only;

  const auto empty = run(board, small_set(), config);
  CHECK(reason_of(empty) == "recovery.verify");
  CHECK(message_of(empty) == "3 of 3 images are not in the board's flash as the set has them");
  CHECK(board.flash().counters().sectors_erased == 0);
  CHECK(board.flash().counters().bytes_programmed == 0);
  CHECK_FALSE(empty.outcome->flash_touched);

  check_good(run(board, small_set()), board);
  const auto right = run(board, small_set(), config);
  CHECK(reason_of(right) == "none");
  CHECK(right.outcome->verified == Verdict::yes);
  CHECK(right.outcome->written == Verdict::unknown);
}

TEST_CASE("apps and data go unless they are to stay") {
  const bool keep = GENERATE(false, true);
  SphereV3Board board{board_config(small_set())};
  const std::array mark = {std::byte{0x55}};
  board.flash().load(kFlash - 1, mark);
  board.flash().load(12 * 4096, mark);  // Factory.
  auto config = small_set().config();
  config.keep_data = keep;

  check_good(run(board, small_set(), config), board);

  CHECK((board.flash().bytes()[kFlash - 1] == mark.front()) == keep);
  CHECK(board.flash().bytes()[12 * 4096] == mark.front());
}

TEST_CASE("loss, damage, doubles and disorder of any rate end in a complete board") {
  const auto fault =
      GENERATE(as<std::string>{}, "drop@out:rate=300", "drop@in:rate=30", "flip=3@in:rate=100",
               "flip=1@out:rate=300", "dup@in:rate=50", "drop@in:frame=6", "dup@in:frame=8",
               "drop@out:frame=9", "delay=700@out:byte=900", "stray=434343000A@out:byte=0",
               "storm=00,5000@out:byte=20");
  for (const std::uint32_t seed : {1U, 2U, 3U}) {
    SphereV3Board board{board_config(small_set())};
    const auto report = run(board, small_set(), {.faults = {fault}, .seed = seed});
    INFO(fault << " seed " << seed << ": " << message_of(report));
    check_good(report, board);
  }
}

TEST_CASE("what a board may do wrong ends in success or in an error that names it") {
  const auto [fault, reason] =
      GENERATE(table<std::string, std::string>({{"hello-lost", "none"},
                                                {"no-credit=3000@block=5", "none"},
                                                {"slow-erase=240000", "none"},
                                                {"flip-flash=65600@block=0", "none"},
                                                {"flip-flash=65600", "recovery.verify"},
                                                {"bad-sector=20", "recovery.write"},
                                                {"lie-size=1000", "recovery.image-refused"},
                                                {"name=other.bin", "recovery.write"},
                                                {"lie-offset=900000", "recovery.write"}}));
  SphereV3Board board{board_config(small_set(), {fault})};

  const auto report = run(board, small_set());

  INFO(fault << ": " << message_of(report));
  CHECK(reason_of(report) == reason);
  CHECK(board.is_complete() == (reason == "none"));
}

TEST_CASE("sets that are not for this board are refused with nothing erased") {
  RecoverySetV3 set{{5000}};
  auto config = board_config(set);
  std::string expected;
  SECTION("another board, as the host sees") {
    set.manifest().board_id = "other";
    set.sign();
    expected = "the set is for board other, this one is sphere-virtual";
  }
  SECTION("too old, as the host sees") {
    config.floor = 8;
    expected = "the set has security version 7, the board takes 8 or higher";
  }
  SECTION("signed with a key that the board does not know") {
    config.trust = small_set().trust();
    expected = "(BadSignature 5)";
  }
  SECTION("images over each other") {
    set.manifest().entries.front().flash_offset = 0;
    set.sign();
    expected = "(LayoutInvalid 302)";
  }
  SECTION("too large for the flash") {
    config.flash_size = 128 * 1024;
    set.manifest().entries.front().flash_offset = 124 * 1024;
    set.sign();
    expected = "(LayoutInvalid 302)";
  }
  SphereV3Board board{config};

  const auto report = run(board, set);

  CHECK(reason_of(report) == "recovery.image-refused");
  CHECK_THAT(message_of(report), Catch::Contains(expected));
  CHECK(board.flash().counters().sectors_erased == 0);
  CHECK(board.flash().counters().bytes_programmed == 0);
}

TEST_CASE("power may be cut at every change of the flash: the next run ends in a complete board") {
  const RecoverySetV3 set{{5000, 70000}};
  std::uint64_t cut = 0;
  for (bool was_cut = true; was_cut; ++cut) {
    auto config = board_config(set, {"power-cut@block=" + std::to_string(cut)});
    config.power_returns = false;
    SphereV3Board board{config};
    const auto first = run(board, set, {.paced = false, .turnaround = 0us, .has_lines = false});
    was_cut = reason_of(first) != "none";
    INFO("cut at " << cut << ": " << message_of(first));
    if (was_cut) {
      CHECK_FALSE(board.is_complete());
      check_good(run(board, set, {.paced = false, .turnaround = 0us}), board);
    }
    // Where power returns, the same run goes on.
    config.power_returns = true;
    SphereV3Board other{config};
    check_good(run(other, set, {.paced = false, .turnaround = 0us, .has_lines = false}), other);
  }
  CHECK(cut > 15);
}

TEST_CASE("the link may be lost at any byte: the next run goes on where it was") {
  SphereV3Board whole{board_config(small_set())};
  const auto bytes = run(whole, small_set(), {.paced = false}).to_board;
  std::uint64_t resumed = 0;
  for (std::uint64_t at = 0; at < bytes; at += bytes / 25) {
    SphereV3Board board{board_config(small_set())};
    const auto first = run(
        board, small_set(),
        {.faults = {"unplug@in:byte=" + std::to_string(at)}, .paced = false, .turnaround = 0us});
    CHECK(reason_of(first) == "link.unplugged");
    const auto second = run(board, small_set(), {.paced = false, .turnaround = 0us});
    check_good(second, board);
    resumed += second.outcome->bytes_written < small_set().manifest().total_size() ? 1 : 0;
  }
  CHECK(resumed > 10);
}

// A board whose last report is changed on its way, with every checksum made right again.
class Forger final : public virtual_board::DeviceSide {
 public:
  using Change = std::function<void(v3::Completion&)>;
  Forger(SphereV3Board& board, Change change) : board_{&board}, change_{std::move(change)} {}

  void take(const virtual_board::device::Input& input, Time now,
            virtual_board::device::Actions& actions) override {
    board_->take(input, now, actions);
    for (auto& action : actions) {
      if (auto* const send = std::get_if<virtual_board::device::Send>(&action)) {
        rewrite(send->bytes);
      }
    }
  }
  [[nodiscard]] virtual_board::Flash& flash() override { return board_->flash(); }
  [[nodiscard]] bool is_complete() const override { return board_->is_complete(); }
  [[nodiscard]] int changed() const { return changed_; }

 private:
  void rewrite(std::vector<std::byte>& bytes) {
    CobsDecoder decoder{v3::kFrameLimit};
    std::vector<std::byte> wire;
    const int before = changed_;
    decoder.decode(bytes, [&](std::span<const std::byte> frame) {
      append(frame, wire);
      return true;
    });
    if (changed_ != before) {
      bytes = std::move(wire);
    }
  }
  void append(std::span<const std::byte> bytes, std::vector<std::byte>& wire) {
    const auto frame = v3::parse_frame(bytes);
    const auto message = frame && frame->kind == v3::Kind::message
                             ? v3::parse_message(frame->payload)
                             : std::nullopt;
    auto completion =
        message && message->type == static_cast<std::uint16_t>(v3::Type::recovery_complete)
            ? v3::parse_completion(message->data)
            : std::nullopt;
    if (!completion) {
      append_cobs(bytes, wire);
      return;
    }
    change_(*completion);
    ++changed_;
    v3::append_message(frame->sequence, v3::Type::recovery_complete,
                       v3::write_completion(*completion), wire);
  }

  SphereV3Board* board_;
  Change change_;
  int changed_ = 0;
};

TEST_CASE("a forged last report is no proof") {
  SphereV3Board board{board_config(small_set())};
  const auto stranger = crypto::PrivateKey::generate().value();
  const std::vector<Forger::Change> changes = {
      [](v3::Completion& completion) { completion.signature.fill(std::byte{0}); },
      [](v3::Completion& completion) { completion.signature.back() ^= std::byte{1}; },
      [](v3::Completion& completion) { ++completion.skipped; },
      [&](v3::Completion& completion) {
        completion.signature =
            stranger.sign(v3::completion_digest(v3::Nonce{}, completion)).value();
      }};
  for (const auto& change : changes) {
    Forger forger{board, change};
    const auto client = make_sphere_v3(small_set().config());
    RecoveryBench bench{*client, forger, small_set().files(), {.paced = true, .turnaround = 2ms}};
    const auto report = bench.run();
    REQUIRE(forger.changed() > 0);
    REQUIRE(report.outcome);
    CHECK(report.outcome->verified == Verdict::no);
    CHECK(reason_of(report) == "recovery.verify");
  }
}

TEST_CASE("a board without an identity is believed with a warning") {
  auto config = board_config(small_set());
  config.identity = nullptr;
  SphereV3Board board{config};
  const auto report = run(board, small_set());
  CHECK(reason_of(report) == "none");
  CHECK(std::ranges::any_of(
      report.events, [](const Event& event) { return std::holds_alternative<Warning>(event); }));
}

TEST_CASE("a board is spoken to over the fastest line that both have") {
  auto config = board_config(small_set());
  config.rates = {115200, 921600};
  SphereV3Board board{config};
  auto client = small_set().config();
  client.fastest = 921600;

  const auto report = run(board, small_set(), client);

  check_good(report, board);
  CHECK(report.took > 2s);
  CHECK(report.garbled == 0);
}

}  // namespace
}  // namespace sphere::recovery
