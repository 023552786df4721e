// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>

namespace sphere::virtual_board {

// How long the supervisor waits before it starts sphered again after a crash: not at all for the
// first 5 crashes within a minute, then 1, 2, 4 ... 60 s, until a minute passed without a crash.
class RestartPolicy {
 public:
  static constexpr std::size_t kFreeCrashes = 5;
  static constexpr std::chrono::seconds kWindow{60};
  static constexpr std::chrono::seconds kLongestDelay{60};

  // Notes a crash at `now` (of a clock that does not go back) and says how long to wait. The time
  // that was waited does not count as time without a crash.
  [[nodiscard]] std::chrono::seconds crashed(std::chrono::nanoseconds now);

 private:
  std::deque<std::chrono::nanoseconds> crashes_;  // Of the last minute, waiting times taken out.
  std::chrono::seconds delay_{0};                 // Of the last crash.
  std::chrono::nanoseconds waited_{0};            // Sum of all delays.
};

}  // namespace sphere::virtual_board
