// SPDX-License-Identifier: MIT
#include "device-agent/agent/rest/rate_gate.h"

#include <chrono>
#include <mutex>

namespace sphere::agent {

bool RateGate::pass(std::chrono::nanoseconds now) {
  const std::lock_guard guard{lock_};
  while (!times_.empty() && now - times_.front() >= window_) {
    times_.pop_front();
  }
  if (times_.size() >= limit_) {
    return false;
  }
  times_.push_back(now);
  return true;
}

}  // namespace sphere::agent
