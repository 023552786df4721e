// SPDX-License-Identifier: MIT
#include "device-agent/virtual-board/restart_policy.h"

#include <chrono>
#include <vector>

#include <catch2/catch.hpp>

using namespace std::chrono_literals;
using sphere::virtual_board::RestartPolicy;

TEST_CASE("the first five crashes within a minute cost nothing, then waiting doubles",
          "[virtual-board]") {
  RestartPolicy policy;
  std::chrono::nanoseconds now{0};
  std::vector<int> delays;
  for (int i = 0; i < 14; ++i) {
    const auto delay = policy.crashed(now);
    delays.push_back(static_cast<int>(delay.count()));
    now += delay + 10ms;
  }
  CHECK(delays == std::vector<int>{0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60});
}

TEST_CASE("a minute without a crash begins anew", "[virtual-board]") {
  RestartPolicy policy;
  std::chrono::nanoseconds now{0};
  for (int i = 0; i < 8; ++i) {
    now += policy.crashed(now);
  }
  now += 61s;
  CHECK(policy.crashed(now) == 0s);
}

TEST_CASE("crashes that are far apart never wait", "[virtual-board]") {
  RestartPolicy policy;
  for (int i = 0; i < 20; ++i) {
    CHECK(policy.crashed(i * 20s) == 0s);
  }
}
