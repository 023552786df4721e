// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#include "sphere/core/clock.h"

namespace sphere::test {

// Time that moves when told to. Any thread may read it.
class FakeClock final : public Clock {
 public:
  [[nodiscard]] std::int64_t unix_seconds() const override {
    return kStart + set_ + std::chrono::duration_cast<std::chrono::seconds>(passed_.load()).count();
  }
  [[nodiscard]] std::chrono::nanoseconds monotonic() const override {
    return std::chrono::seconds{1000} + passed_.load();
  }
  // Sets the clock; what passes goes on as before.
  void set_by(std::chrono::seconds by) { set_ = set_.load() + by.count(); }
  void advance(std::chrono::nanoseconds by) { passed_ = passed_.load() + by; }

 private:
  static constexpr std::int64_t kStart = 1'800'000'000;  // 2027-01-15
  std::atomic<std::chrono::nanoseconds> passed_{std::chrono::nanoseconds{0}};
  std::atomic<std::int64_t> set_{0};
};

}  // namespace sphere::test
