// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <mutex>

namespace sphere::agent {

// Counts events in a sliding window. Any thread may call.
class RateGate {
 public:
  RateGate(std::size_t limit, std::chrono::nanoseconds window) : limit_{limit}, window_{window} {}

  // Notes an event at `now`; false when the window holds `limit` of them already, then it is not
  // noted.
  [[nodiscard]] bool pass(std::chrono::nanoseconds now);

 private:
  std::size_t limit_;
  std::chrono::nanoseconds window_;
  std::mutex lock_;  // Guards what follows.
  std::deque<std::chrono::nanoseconds> times_;
};

}  // namespace sphere::agent
