// SPDX-License-Identifier: MIT
#include "sphere/core/clock.h"

#include <chrono>
#include <cstdint>
#include <limits>

#include <catch2/catch.hpp>

TEST_CASE("to_rfc3339 writes UTC", "[core]") {
  CHECK(sphere::to_rfc3339(0) == "1970-01-01T00:00:00Z");
  CHECK(sphere::to_rfc3339(1654786668) == "2022-06-09T14:57:48Z");
  CHECK(sphere::to_rfc3339(-1) == "1969-12-31T23:59:59Z");
}

TEST_CASE("to_rfc3339 clamps years outside 0 to 9999", "[core]") {
  CHECK(sphere::to_rfc3339(std::numeric_limits<std::int64_t>::max()) == "9999-12-31T23:59:59Z");
  CHECK(sphere::to_rfc3339(std::numeric_limits<std::int64_t>::min()) == "0000-01-01T00:00:00Z");
}

TEST_CASE("SystemClock::monotonic does not go back", "[core]") {
  const sphere::SystemClock clock;
  const auto first = clock.monotonic();
  CHECK(clock.monotonic() >= first);
}
