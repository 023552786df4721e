// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>

namespace sphere::agent {

// When an app that ended starts again: at once, until it has ended kExits times inside kWindow;
// then after 1, 2, 4 ... 256, 300, 300 ... seconds, until it has once run for kHealthy.
class Backoff {
 public:
  static constexpr std::size_t kExits = 5;
  static constexpr std::chrono::seconds kWindow{60};
  static constexpr std::chrono::seconds kHealthy{300};
  static constexpr std::chrono::seconds kLongest{300};

  // Records that an app which started at `started` ended at `now`; gives the wait before its next
  // start.
  [[nodiscard]] std::chrono::nanoseconds on_exit(std::chrono::nanoseconds started,
                                                 std::chrono::nanoseconds now);
  // A start by hand, a new image or a restart of the board.
  void clear();

  [[nodiscard]] bool waiting() const noexcept { return delay_.count() > 0; }
  [[nodiscard]] std::size_t exits_in_window() const noexcept { return exits_.size(); }

 private:
  std::deque<std::chrono::nanoseconds> exits_;
  std::chrono::seconds delay_{0};
};

}  // namespace sphere::agent
