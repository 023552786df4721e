// SPDX-License-Identifier: MIT
#include "device-agent/agent/apps/backoff.h"

#include <algorithm>
#include <chrono>

namespace sphere::agent {

std::chrono::nanoseconds Backoff::on_exit(std::chrono::nanoseconds started,
                                          std::chrono::nanoseconds now) {
  if (now - started >= kHealthy) {
    clear();
  }
  exits_.push_back(now);
  while (now - exits_.front() > kWindow) {
    exits_.pop_front();
  }
  if (waiting()) {
    delay_ = std::min(delay_ * 2, kLongest);
  } else if (exits_.size() >= kExits) {
    delay_ = std::chrono::seconds{1};
  }
  return delay_;
}

void Backoff::clear() {
  exits_.clear();
  delay_ = std::chrono::seconds{0};
}

}  // namespace sphere::agent
