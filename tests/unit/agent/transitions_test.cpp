// SPDX-License-Identifier: MIT
#include "device-agent/agent/apps/transitions.h"

#include <array>
#include <set>
#include <string>
#include <utility>

#include <catch2/catch.hpp>

namespace {

using namespace sphere::agent;  // NOLINT(google-build-using-namespace): test

constexpr std::array kPhases = {Phase::absent,  Phase::stopped,  Phase::starting,
                                Phase::running, Phase::stopping, Phase::backing_off};

}  // namespace

TEST_CASE("no state and event stand in the table of transitions twice") {
  std::set<std::pair<int, int>> seen;
  for (const auto& row : kTransitions) {
    INFO(to_text(row.from) << " " << to_text(row.event));
    CHECK(seen.emplace(static_cast<int>(row.from), static_cast<int>(row.event)).second);
  }
}

TEST_CASE("every state can be reached and left") {
  for (const auto phase : kPhases) {
    INFO(to_text(phase));
    bool entered = false;
    bool left = false;
    for (const auto& row : kTransitions) {
      entered = entered || (row.to == phase && row.from != phase);
      left = left || (row.from == phase && row.to != phase);
    }
    CHECK(entered);
    CHECK(left);
  }
}

TEST_CASE("an app runs only through the start gate") {
  for (const auto& row : kTransitions) {
    if (row.to == Phase::running) {
      const bool through_gate = row.from == Phase::starting && row.event == Event::released;
      const bool let_go = row.from == Phase::debugging && row.event == Event::let_go;
      CHECK((through_gate || let_go));
    }
    if (row.to == Phase::debugging) {
      CHECK(row.from == Phase::starting);
      CHECK(row.event == Event::held);
    }
  }
}

TEST_CASE("a stopped app does not start by itself") {
  for (const auto event : {Event::due, Event::ended_again, Event::ended_often, Event::released}) {
    CHECK_FALSE(next_phase(Phase::stopped, event));
  }
}

TEST_CASE("states are reported in the words of the REST API") {
  CHECK(sphere::device_api::to_text(to_app_state(Phase::absent)) == "notPresent");
  CHECK(sphere::device_api::to_text(to_app_state(Phase::stopped)) == "stopped");
  CHECK(sphere::device_api::to_text(to_app_state(Phase::starting)) == "running");
  CHECK(sphere::device_api::to_text(to_app_state(Phase::running)) == "running");
  CHECK(sphere::device_api::to_text(to_app_state(Phase::stopping)) == "running");
  CHECK(sphere::device_api::to_text(to_app_state(Phase::backing_off)) == "stopped");
}
