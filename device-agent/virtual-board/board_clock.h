// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>

#include "sphere/core/clock.h"

namespace sphere::virtual_board {

// The board's own time: microseconds since power-on. Runs at the rate of real time.
class BoardClock {
 public:
  explicit BoardClock(const Clock& clock) : clock_{&clock}, start_{clock.monotonic()} {}

  [[nodiscard]] std::int64_t now_us() const {
    return std::chrono::duration_cast<std::chrono::microseconds>(clock_->monotonic() - start_)
        .count();
  }

 private:
  const Clock* clock_;
  std::chrono::nanoseconds start_;
};

}  // namespace sphere::virtual_board
