// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace sphere::virtual_board {

enum class Direction : std::uint8_t { unused, in, out };

// Numbers of applibs' GPIO_OutputMode.
enum class OutputMode : std::uint8_t { push_pull = 0, open_drain = 1, open_source = 2 };

// What the world outside the chip does to a line. A pull loses against an output, low and high
// against a push-pull output only (on real boards something would get warm).
enum class Drive : std::uint8_t { none, low, high, pull_down, pull_up };

// One GPIO line. The level follows from the other members:
//
//   out, push-pull                    the latch
//   out, open drain with latch 0      0
//   out, open source with latch 1     1
//   else, drive low or pull-down      0
//   else, drive high or pull-up       1
//   else, nothing drives the line     1, but 0 for a released open-source output
//
// 1 for a free line because the buttons of all boards are active low.
struct Line {
  std::string owner;  // Component id of the app that has it open.
  bool open = false;
  Direction direction = Direction::unused;
  OutputMode mode = OutputMode::push_pull;
  int latch = 0;
  Drive drive = Drive::none;
  int level = 1;
  std::uint64_t edges = 0;  // Changes of the level so far.
};

// A change of one line's level. `seq` counts from 1 over all lines.
struct Edge {
  std::uint64_t seq = 0;
  std::int64_t at_us = 0;
  int pin = 0;
  int level = 0;
};

// The newest edges, in order; older ones fall out.
class EdgeTrace {
 public:
  static constexpr std::size_t kCapacity = 4096;

  void add(std::int64_t at_us, int pin, int level);
  [[nodiscard]] std::uint64_t next_seq() const noexcept { return next_seq_; }
  [[nodiscard]] std::uint64_t first_seq() const noexcept { return next_seq_ - edges_.size(); }
  // `seq` is from first_seq() to below next_seq().
  [[nodiscard]] const Edge& at(std::uint64_t seq) const {
    return edges_[static_cast<std::size_t>(seq - first_seq())];
  }

 private:
  std::deque<Edge> edges_;
  std::uint64_t next_seq_ = 1;
};

struct OpenLine {
  int pin = 0;
  Direction direction = Direction::in;  // in or out
  OutputMode mode = OutputMode::push_pull;
  int value = 0;  // First level of an output.
  std::string owner = {};
};

// All GPIO lines of a board, without input or output: times come in as microseconds of the board's
// clock and must not go back. Where a pin is asked for that the board lacks, nothing happens and
// the answer is ENODEV or nothing.
class GpioBank {
 public:
  static constexpr std::int64_t kLongestPulse = 60'000'000;  // Microseconds.

  explicit GpioBank(const std::vector<int>& pins);

  // Gives the line to an app: 0, ENODEV, EBUSY when it is open already. An output has its first
  // value from the moment it drives the line.
  [[nodiscard]] int open(const OpenLine& request, std::int64_t now_us);
  // The line keeps direction and level until it is opened anew.
  void close(int pin);
  // Sets an output. On an input there is no effect, as with the original API.
  void set(int pin, int value, std::int64_t now_us);

  // Sets what drives the line from outside and ends a pulse. 0, ENODEV, EBUSY when the chip itself
  // drives it.
  [[nodiscard]] int drive(int pin, Drive drive, std::int64_t now_us);
  // Drives `level` for 1 to kLongestPulse microseconds, then what was there before. A pulse during
  // another one replaces it. Errors as drive().
  [[nodiscard]] int pulse(int pin, int level, std::int64_t microseconds, std::int64_t now_us);
  // Ends the pulses that are over at `now_us`, each edge at its due time.
  void advance(std::int64_t now_us);
  [[nodiscard]] std::optional<std::int64_t> next_deadline() const;  // Of a pulse, in board time.

  [[nodiscard]] const Line* find(int pin) const;
  [[nodiscard]] const std::map<int, Line>& lines() const noexcept { return lines_; }
  [[nodiscard]] const EdgeTrace& trace() const noexcept { return trace_; }

 private:
  struct Pulse {
    std::int64_t end_us;
    Drive before;
  };

  void settle(int pin, Line& line, std::int64_t now_us);

  std::map<int, Line> lines_;
  std::map<int, Pulse> pulses_;
  EdgeTrace trace_;
};

// True when the chip, not the outside, decides the level.
[[nodiscard]] bool is_driven_by_chip(const Line& line);

}  // namespace sphere::virtual_board
