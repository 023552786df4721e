// SPDX-License-Identifier: MIT
#include "device-agent/virtual-board/pins.h"

#include <algorithm>

#include <catch2/catch.hpp>

#include "sphere/core/result.h"

using sphere::virtual_board::gpio_lines;

TEST_CASE("the MT3620 has 68 lines with gaps", "[virtual-board]") {
  const auto lines = gpio_lines("mt3620-rdb");
  REQUIRE(lines);
  CHECK(lines->size() == 68);
  CHECK(std::is_sorted(lines->begin(), lines->end()));
  for (const int gap : {-1, 24, 25, 49, 55, 76, 79, 81}) {
    CHECK(std::find(lines->begin(), lines->end(), gap) == lines->end());
  }
  for (const int pin : {0, 23, 26, 48, 56, 75, 80}) {
    CHECK(std::find(lines->begin(), lines->end(), pin) != lines->end());
  }
}

TEST_CASE("a board may be written as its definition file", "[virtual-board]") {
  CHECK(gpio_lines("avnet_mt3620_sk_rev2"));
}

TEST_CASE("an unknown kind of board is named with the known ones", "[virtual-board]") {
  const auto lines = gpio_lines("mt3621");
  REQUIRE_FALSE(lines);
  CHECK(lines.error().code() == sphere::Errc::not_found);
  CHECK(lines.error().hint().value == "mt3621");
  CHECK(lines.error().hint().next.find("mt3620-rdb") != std::string::npos);
}
