// SPDX-License-Identifier: MIT
#include "device-agent/virtual-board/gpio_bank.h"

#include <cerrno>
#include <cstdint>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

using namespace sphere::virtual_board;

namespace {

GpioBank bank_of(const std::vector<int>& pins = {8, 12}) { return GpioBank{pins}; }

OpenLine output(int pin, int value, OutputMode mode = OutputMode::push_pull) {
  return {.pin = pin, .direction = Direction::out, .mode = mode, .value = value, .owner = "app"};
}

OpenLine input(int pin) { return {.pin = pin, .direction = Direction::in, .owner = "app"}; }

}  // namespace

TEST_CASE("a free line is 1 and unused", "[virtual-board]") {
  const auto bank = bank_of();
  CHECK(bank.find(8)->level == 1);
  CHECK(bank.find(8)->direction == Direction::unused);
  CHECK(bank.find(9) == nullptr);
  CHECK(bank.trace().next_seq() == 1);
}

TEST_CASE("an output has its first value from the start and follows set", "[virtual-board]") {
  auto bank = bank_of();
  REQUIRE(bank.open(output(8, 0), 10) == 0);
  bank.set(8, 1, 20);
  bank.set(8, 1, 30);  // No edge.
  bank.set(8, 0, 40);

  const auto& trace = bank.trace();
  REQUIRE(trace.next_seq() == 4);
  CHECK(trace.at(1).at_us == 10);
  CHECK(trace.at(1).level == 0);
  CHECK(trace.at(2).at_us == 20);
  CHECK(trace.at(2).level == 1);
  CHECK(trace.at(3).pin == 8);
  CHECK(trace.at(3).at_us == 40);
  CHECK(bank.find(8)->edges == 3);
}

TEST_CASE("a line has one owner at a time", "[virtual-board]") {
  auto bank = bank_of();
  REQUIRE(bank.open(output(8, 1), 0) == 0);
  CHECK(bank.open(input(8), 0) == EBUSY);
  CHECK(bank.find(8)->direction == Direction::out);
  CHECK(bank.open(input(9), 0) == ENODEV);
  bank.close(8);
  CHECK(bank.find(8)->owner.empty());
  CHECK(bank.open(input(8), 0) == 0);
}

TEST_CASE("a closed output keeps direction and level", "[virtual-board]") {
  auto bank = bank_of();
  REQUIRE(bank.open(output(8, 0), 0) == 0);
  bank.close(8);
  CHECK(bank.find(8)->direction == Direction::out);
  CHECK(bank.find(8)->level == 0);
  CHECK(bank.drive(8, Drive::high, 1) == EBUSY);
}

TEST_CASE("set on an input has no effect", "[virtual-board]") {
  auto bank = bank_of();
  REQUIRE(bank.open(input(8), 0) == 0);
  bank.set(8, 0, 1);
  CHECK(bank.find(8)->level == 1);
  REQUIRE(bank.drive(8, Drive::low, 2) == 0);
  bank.set(8, 1, 3);
  CHECK(bank.find(8)->level == 0);
}

TEST_CASE("the level follows mode, latch and drive", "[virtual-board]") {
  struct Case {
    OutputMode mode;
    int latch;
    Drive drive;
    int level;
  };
  const auto test = GENERATE(values<Case>({
      {OutputMode::push_pull, 0, Drive::pull_up, 0},
      {OutputMode::push_pull, 1, Drive::low, 1},
      {OutputMode::open_drain, 0, Drive::high, 0},
      {OutputMode::open_drain, 1, Drive::none, 1},
      {OutputMode::open_drain, 1, Drive::low, 0},
      {OutputMode::open_drain, 1, Drive::pull_down, 0},
      {OutputMode::open_source, 1, Drive::low, 1},
      {OutputMode::open_source, 0, Drive::none, 0},
      {OutputMode::open_source, 0, Drive::high, 1},
      {OutputMode::open_source, 0, Drive::pull_up, 1},
  }));
  auto bank = bank_of();
  REQUIRE(bank.drive(8, test.drive, 0) == 0);

  REQUIRE(bank.open(output(8, test.latch, test.mode), 1) == 0);

  CHECK(bank.find(8)->level == test.level);
}

TEST_CASE("the outside may pull a released open-drain line", "[virtual-board]") {
  auto bank = bank_of();
  REQUIRE(bank.open(output(8, 1, OutputMode::open_drain), 0) == 0);
  CHECK(bank.drive(8, Drive::low, 1) == 0);
  CHECK(bank.find(8)->level == 0);
  bank.set(8, 0, 2);
  CHECK(bank.drive(8, Drive::high, 3) == EBUSY);
}

TEST_CASE("a pulse ends at its due time with what was there before", "[virtual-board]") {
  auto bank = bank_of();
  REQUIRE(bank.pulse(12, 0, 1000, 100) == 0);
  CHECK(bank.next_deadline() == 1100);
  bank.advance(1099);
  CHECK(bank.find(12)->level == 0);
  bank.advance(5000);
  CHECK(bank.find(12)->level == 1);
  CHECK(bank.find(12)->drive == Drive::none);
  CHECK(bank.trace().at(2).at_us == 1100);
  CHECK_FALSE(bank.next_deadline());
  CHECK(bank.pulse(13, 0, 1000, 6000) == ENODEV);
}

TEST_CASE("a second pulse replaces the first and restores the first state", "[virtual-board]") {
  auto bank = bank_of();
  REQUIRE(bank.drive(12, Drive::low, 0) == 0);
  REQUIRE(bank.pulse(12, 1, 1000, 10) == 0);
  REQUIRE(bank.pulse(12, 1, 1000, 500) == 0);
  bank.advance(1100);
  CHECK(bank.find(12)->level == 1);
  bank.advance(1500);
  CHECK(bank.find(12)->level == 0);
  CHECK(bank.find(12)->drive == Drive::low);
}

TEST_CASE("driving a line ends its pulse", "[virtual-board]") {
  auto bank = bank_of();
  REQUIRE(bank.pulse(12, 0, 1000, 0) == 0);
  REQUIRE(bank.drive(12, Drive::low, 500) == 0);
  bank.advance(2000);
  CHECK(bank.find(12)->level == 0);
  CHECK(bank.trace().next_seq() == 2);
}

TEST_CASE("a pulse on a line that the app drives is refused", "[virtual-board]") {
  auto bank = bank_of();
  REQUIRE(bank.open(output(8, 1), 0) == 0);
  CHECK(bank.pulse(8, 0, 1000, 1) == EBUSY);
  CHECK_FALSE(bank.next_deadline());
}

TEST_CASE("pulses of several lines end in the order of their times", "[virtual-board]") {
  auto bank = bank_of();
  REQUIRE(bank.pulse(8, 0, 300, 0) == 0);
  REQUIRE(bank.pulse(12, 0, 100, 0) == 0);
  bank.advance(1000);
  CHECK(bank.trace().at(3).pin == 12);
  CHECK(bank.trace().at(3).at_us == 100);
  CHECK(bank.trace().at(4).pin == 8);
  CHECK(bank.trace().at(4).at_us == 300);
}

TEST_CASE("the trace keeps the newest edges only", "[virtual-board]") {
  EdgeTrace trace;
  for (std::size_t i = 0; i < EdgeTrace::kCapacity + 10; ++i) {
    trace.add(static_cast<std::int64_t>(i), 8, static_cast<int>(i % 2));
  }
  CHECK(trace.first_seq() == 11);
  CHECK(trace.next_seq() == EdgeTrace::kCapacity + 11);
  CHECK(trace.at(11).seq == 11);
  CHECK(trace.at(trace.next_seq() - 1).at_us ==
        static_cast<std::int64_t>(EdgeTrace::kCapacity + 9));
}
