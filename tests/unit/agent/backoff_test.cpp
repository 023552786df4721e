// SPDX-License-Identifier: MIT
#include "device-agent/agent/apps/backoff.h"

#include <chrono>
#include <vector>

#include <catch2/catch.hpp>

namespace {

using namespace std::chrono_literals;
using sphere::agent::Backoff;

// An app that ends `run` after each start; gives the wait before each next start.
std::vector<long> waits_of(Backoff& backoff, std::chrono::nanoseconds& now, int exits,
                           std::chrono::nanoseconds run) {
  std::vector<long> waits;
  for (int i = 0; i < exits; ++i) {
    const auto started = now;
    now += run;
    const auto wait = backoff.on_exit(started, now);
    waits.push_back(std::chrono::duration_cast<std::chrono::seconds>(wait).count());
    now += wait;
  }
  return waits;
}

}  // namespace

TEST_CASE("an app that ends again and again waits 1, 2, 4 ... 300 s from its fifth exit on") {
  Backoff backoff;
  std::chrono::nanoseconds now = 1000s;

  const auto waits = waits_of(backoff, now, 15, 100ms);

  CHECK(waits == std::vector<long>{0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300});
}

TEST_CASE("exits further apart than the window never wait") {
  Backoff backoff;
  std::chrono::nanoseconds now = 1000s;

  const auto waits = waits_of(backoff, now, 20, 16s);

  CHECK(waits == std::vector<long>(20, 0));
}

TEST_CASE("five minutes of running clear the back-off, less does not") {
  Backoff backoff;
  std::chrono::nanoseconds now = 1000s;
  CHECK(waits_of(backoff, now, 6, 1s).back() == 2);

  CHECK(waits_of(backoff, now, 1, 299s).back() == 4);
  CHECK(waits_of(backoff, now, 1, 300s).back() == 0);
}

TEST_CASE("clear starts anew") {
  Backoff backoff;
  std::chrono::nanoseconds now = 1000s;
  CHECK(waits_of(backoff, now, 8, 1s).back() == 8);

  backoff.clear();

  CHECK_FALSE(backoff.waiting());
  CHECK(waits_of(backoff, now, 5, 1s) == std::vector<long>{0, 0, 0, 0, 1});
}
