// SPDX-License-Identifier: MIT
// How much of a modelled line recovery v2 and v3 use, and how fast their codecs are.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "device-agent/virtual-board/recovery/mt3620.h"
#include "device-agent/virtual-board/recovery/sphere_v3.h"
#include "sphere/recovery/cobs.h"
#include "sphere/recovery/crc.h"
#include "sphere/recovery/sphere_v2.h"
#include "sphere/recovery/sphere_v3.h"
#include "tests/support/recovery_bench.h"
#include "tests/support/recovery_set.h"
#include "tests/support/recovery_set_v3.h"

namespace {

using namespace sphere;
using namespace std::chrono_literals;
using recovery::Time;

// The images of the MT3620 set of May 2020 have 5,390,752 bytes in 17 files.
constexpr std::size_t kSetBytes = 5'390'752;
constexpr std::size_t kSetImages = 17;
constexpr std::size_t kFlash = std::size_t{16} * 1024 * 1024;
constexpr double kBitsPerByte = 10;

double seconds(Time time) { return std::chrono::duration<double>{time}.count(); }

bool goal(std::string_view name, double value, double bound, bool at_least, std::string_view unit) {
  const bool met = at_least ? value >= bound : value <= bound;
  fmt::print("- {}: {}: {:.1f} {} (goal: {} {} {})\n", met ? "met" : "MISSED", name, value, unit,
             at_least ? "at least" : "at most", bound, unit);
  return met;
}

// --- Runs in virtual time; none erases for longer than no time. ---

struct Ran {
  Time took = {};
  std::uint64_t erased = 0;
  bool good = false;
};

test::RecoveryBenchConfig line_of(Time turnaround) {
  return {.paced = true, .turnaround = turnaround};
}

Ran run_v3(const test::RecoverySetV3& set, std::uint32_t baud, Time turnaround, int runs = 1) {
  virtual_board::SphereV3Board board{
      {.trust = set.trust(), .rates = {115200, baud}, .erase_time = 0s}};
  Ran ran;
  for (int i = 0; i < runs; ++i) {
    const auto before = board.flash().counters().sectors_erased;
    auto config = set.config();
    config.fastest = baud;
    const auto client = recovery::make_sphere_v3(std::move(config));
    test::RecoveryBench bench{*client, board, set.files(), line_of(turnaround)};
    const auto report = bench.run();
    ran = {.took = report.took,
           .erased = board.flash().counters().sectors_erased - before,
           .good = report.outcome && !report.outcome->error && board.is_complete()};
  }
  return ran;
}

Ran run_v2(const test::RecoverySet& set, bool fast, Time turnaround) {
  virtual_board::Mt3620 board{
      {.trust = set.trust(), .flash_size = kFlash, .erase_time = 0s, .part = 0xFFFFFFFF}};
  auto config = set.config();
  config.fast = fast;
  const auto client = recovery::make_sphere_v2(std::move(config));
  test::RecoveryBench bench{*client, board, set.files(), line_of(turnaround)};
  const auto report = bench.run();
  return {.took = report.took,
          .good = report.outcome && !report.outcome->error && board.is_complete()};
}

// Of a set of one image of `small` and of `large` bytes, the time of the bytes between.
template <typename Set, typename Run>
double time_of(std::size_t small, std::size_t large, const Run& run, bool& good) {
  const Ran first = run(Set{{small}});
  const Ran second = run(Set{{large}});
  good = good && first.good && second.good;
  return seconds(second.took - first.took);
}

bool v3_row(std::uint32_t baud, Time turnaround, double least) {
  constexpr std::size_t kSmall = 1'000'000;
  constexpr std::size_t kLarge = 5'000'000;
  bool good = true;
  const double took = time_of<test::RecoverySetV3>(
      kSmall, kLarge, [&](const test::RecoverySetV3& set) { return run_v3(set, baud, turnaround); },
      good);
  const double share = (kLarge - kSmall) * kBitsPerByte / baud / took * 100;
  fmt::print("| v3 | {} | {} | {:.0f} | {:.1f} % |\n", baud, turnaround / 1us,
             (kLarge - kSmall) / took, share);
  return good && share >= least;
}

bool v2_row(bool fast, Time turnaround, double least) {
  constexpr std::size_t kSmall = 100'000;
  constexpr std::size_t kLarge = 500'000;
  constexpr double kBlock = 128;
  constexpr double kWire = 128 + 5 + 1;  // A block and its answer.
  const double baud = fast ? 3000000 : 115200;
  bool good = true;
  const double took = time_of<test::RecoverySet>(
      kSmall, kLarge, [&](const test::RecoverySet& set) { return run_v2(set, fast, turnaround); },
      good);
  const double model =
      (kLarge - kSmall) / kBlock * (kWire * kBitsPerByte / baud + seconds(turnaround));
  const double share = model / took * 100;
  fmt::print("| v2 | {} | {} | {:.0f} | {:.1f} % of {:.0f} |\n", baud, turnaround / 1us,
             (kLarge - kSmall) / took, share, (kLarge - kSmall) / model);
  return good && share >= least;
}

std::vector<std::size_t> whole_set() {
  std::vector<std::size_t> sizes(kSetImages - 1, 300'000);
  sizes.push_back(kSetBytes - (kSetImages - 1) * 300'000);
  return sizes;
}

bool lines() {
  fmt::print(
      "Lines are modelled and time is virtual: a byte takes ten bits, and what the board "
      "says arrives after the turn-around.\n\n");
  fmt::print(
      "| protocol | baud | turn-around, us | bytes/s | of the line, or of stop-and-wait |\n"
      "|---|---|---|---|---|\n");
  constexpr double kLeast = 95;
  bool good = true;
  bool v3 = true;
  bool v2 = true;
  for (const std::uint32_t baud : {115200U, 921600U, 3000000U}) {
    for (const Time turnaround : {Time{500us}, Time{2ms}, Time{16ms}}) {
      v3 = v3_row(baud, turnaround, turnaround <= 2ms && baud > 115200 ? kLeast : 0) && v3;
    }
  }
  for (const Time turnaround : {Time{500us}, Time{2ms}, Time{16ms}}) {
    v2 = v2_row(true, turnaround, kLeast) && v2;
  }
  v2 = v2_row(false, 2ms, kLeast) && v2;
  fmt::print("\n");
  good = goal("v3 uses 95 % of a line of 921,600 and 3,000,000 baud with 2 ms, rows", v3 ? 1 : 0, 1,
              true, "") &&
         good;
  good = goal("v2 uses 95 % of what stop-and-wait leaves, rows", v2 ? 1 : 0, 1, true, "") && good;

  const test::RecoverySetV3 set{whole_set()};
  const Ran first = run_v3(set, 3000000, 500us);
  const Ran second = run_v3(set, 3000000, 500us, 2);
  const Ran old = run_v2(test::RecoverySet{[] {
                           auto sizes = whole_set();
                           for (auto& size : sizes) {
                             size -= test::RecoverySet::kTail;
                           }
                           return sizes;
                         }()},
                         true, 500us);
  good = first.good && second.good && old.good && good;
  good = goal("17 images of 5,390,752 bytes over v3, 3,000,000 baud, 0.5 ms, without erase",
              seconds(first.took), 22, false, "s") &&
         good;
  good = goal("the same over v2", seconds(old.took), 50, false, "s") && good;
  good = goal("v3 again on the board that has it: sectors erased",
              static_cast<double>(second.erased), 0, false, "") &&
         good;
  fmt::print("- v3 again on the board that has it: {:.2f} s\n", seconds(second.took));
  return good;
}

// --- Codecs, in real time. ---

void codec(std::string_view name, std::size_t bytes, const std::function<void()>& work) {
  constexpr int kRounds = 9;
  double best = 1e9;
  for (int i = 0; i < kRounds; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    work();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    best = std::min(best, took.count());
  }
  constexpr double kGigabyte = 1e9;
  std::ignore = goal(name, static_cast<double>(bytes) / best / kGigabyte, 1, true, "GB/s");
}

void codecs() {
  constexpr std::size_t kFrame = 4108;
  constexpr std::size_t kFrames = 4096;
  std::mt19937 random{1};
  std::vector<std::byte> frame(kFrame);
  std::ranges::generate(frame, [&] { return static_cast<std::byte>(random()); });
  std::vector<std::byte> wire;
  for (std::size_t i = 0; i < kFrames; ++i) {
    recovery::append_cobs(frame, wire);
  }
  std::vector<std::byte> out(recovery::cobs_limit(kFrame));
  std::uint64_t sum = 0;
  codec("COBS encoder", kFrame * kFrames, [&] {
    for (std::size_t i = 0; i < kFrames; ++i) {
      sum += recovery::cobs_encode(frame, out);
    }
  });
  codec("COBS decoder", kFrame * kFrames, [&] {
    recovery::CobsDecoder decoder{kFrame};
    decoder.decode(wire, [&](std::span<const std::byte> bytes) {
      sum += bytes.size();
      return true;
    });
  });
  codec("CRC-32C", wire.size(), [&] { sum += recovery::crc32c(wire); });
  codec("CRC-16/XMODEM", wire.size(), [&] { sum += recovery::crc16_xmodem(wire); });
  fmt::print("- sum of what the codecs gave: {}\n", sum);
}

}  // namespace

// Without a word, lines and codecs; with --lines, only what is the same on every machine.
int main(int argc, char* argv[]) {
  const bool good = lines();
  if (argc < 2 || std::string_view{argv[1]} != "--lines") {
    fmt::print("\nCodecs, best of nine rounds over 16 MiB of frames with 4,108 random bytes:\n\n");
    codecs();
  }
  return good ? 0 : 1;
}
