// SPDX-License-Identifier: MIT
#include "device-agent/virtual-board/restart_policy.h"

#include <algorithm>
#include <chrono>

namespace sphere::virtual_board {

std::chrono::seconds RestartPolicy::crashed(std::chrono::nanoseconds now) {
  const auto running = now - waited_;  // Time in which sphered could run.
  while (!crashes_.empty() && running - crashes_.front() > kWindow) {
    crashes_.pop_front();
  }
  crashes_.push_back(running);
  if (crashes_.size() <= kFreeCrashes) {
    delay_ = std::chrono::seconds{0};
    return delay_;
  }
  crashes_.pop_front();  // Only the newest matter: the list stays short.
  delay_ = delay_.count() == 0 ? std::chrono::seconds{1} : std::min(delay_ * 2, kLongestDelay);
  waited_ += delay_;
  return delay_;
}

}  // namespace sphere::virtual_board
