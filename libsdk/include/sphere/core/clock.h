// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace sphere {

// Where programs read time, so that tests can set it.
class Clock {
 public:
  virtual ~Clock() = default;

  // Wall-clock time, seconds since 1970-01-01T00:00:00Z. May jump.
  [[nodiscard]] virtual std::int64_t unix_seconds() const = 0;
  // Never goes back; counts during sleep of the machine (CLOCK_BOOTTIME).
  [[nodiscard]] virtual std::chrono::nanoseconds monotonic() const = 0;
};

class SystemClock final : public Clock {
 public:
  [[nodiscard]] std::int64_t unix_seconds() const override;
  [[nodiscard]] std::chrono::nanoseconds monotonic() const override;
};

// RFC 3339 in UTC without fraction: "2026-07-31T00:00:00Z". Years 0 to 9999; others are clamped.
[[nodiscard]] std::string to_rfc3339(std::int64_t unix_seconds);

}  // namespace sphere
