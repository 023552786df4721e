// SPDX-License-Identifier: MIT
#include "device-agent/virtual-board/edge_follower.h"

#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "device-agent/virtual-board/gpio_bank.h"
#include "sphere/device_api/bodies.h"
#include "sphere/json/value.h"

using namespace sphere::virtual_board;

namespace {

std::vector<std::string> read_all(EdgeFollower& follower, const EdgeTrace& trace,
                                  std::int64_t now) {
  std::vector<std::string> lines;
  while (const auto line = follower.line(trace, now)) {
    lines.push_back(*line);
    follower.line_sent(trace, now);
  }
  return lines;
}

}  // namespace

TEST_CASE("a follower gets the run, the edges after its place, and new ones", "[virtual-board]") {
  EdgeTrace trace;
  trace.add(100, 8, 0);
  trace.add(200, 8, 1);
  EdgeFollower follower{"r1", 1, true, 200};

  auto lines = read_all(follower, trace, 300);

  REQUIRE(lines.size() == 2);
  CHECK(lines[0] == "{\"run\":\"r1\"}\n");
  const auto edge = sphere::json::parse(lines[1]);
  REQUIRE(edge);
  CHECK(edge->integer_at("seq") == 2);
  const auto body = sphere::device_api::gpio_edge_from_json(*edge);
  REQUIRE(body);
  CHECK(body->at_us == 200);
  CHECK(body->pin == 8);
  CHECK(body->level == 1);

  trace.add(400, 9, 0);
  lines = read_all(follower, trace, 400);
  CHECK(lines.size() == 1);
  CHECK_FALSE(follower.is_finished(trace));
}

TEST_CASE("a line that was not sent comes again", "[virtual-board]") {
  EdgeTrace trace;
  trace.add(100, 8, 0);
  const EdgeFollower follower{"r1", 0, true, 100};
  CHECK(follower.line(trace, 100) == follower.line(trace, 100));
}

TEST_CASE("a reader that is too slow learns how much it missed", "[virtual-board]") {
  EdgeTrace trace;
  EdgeFollower follower{"r1", 0, true, 0};
  REQUIRE(read_all(follower, trace, 0).size() == 1);
  for (std::size_t i = 0; i < EdgeTrace::kCapacity + 3; ++i) {
    trace.add(static_cast<std::int64_t>(i), 8, static_cast<int>(i % 2));
  }

  const auto lines = read_all(follower, trace, 10);

  REQUIRE(lines.size() == EdgeTrace::kCapacity + 1);
  CHECK(lines[0] == "{\"dropped\":3}\n");
}

TEST_CASE("a quiet stream has a heartbeat every 15 s", "[virtual-board]") {
  const EdgeTrace trace;
  EdgeFollower follower{"r1", 0, true, 0};
  REQUIRE(read_all(follower, trace, 1'000'000).size() == 1);
  CHECK(read_all(follower, trace, 15'999'999).empty());
  CHECK(follower.heartbeat_due() == 16'000'000);
  CHECK(read_all(follower, trace, 16'000'000) ==
        std::vector<std::string>{"{\"heartbeat\":16000}\n"});
  CHECK(read_all(follower, trace, 30'000'000).empty());
}

TEST_CASE("without follow the stream ends with the stored part", "[virtual-board]") {
  EdgeTrace trace;
  trace.add(100, 8, 0);
  EdgeFollower follower{"r1", 0, false, 0};
  CHECK_FALSE(follower.is_finished(trace));
  CHECK(read_all(follower, trace, 100'000'000).size() == 2);
  CHECK(follower.is_finished(trace));
}
