// SPDX-License-Identifier: MIT
#include "device-agent/agent/apps/transitions.h"

#include <algorithm>
#include <optional>
#include <string_view>

#include "sphere/device_api/bodies.h"

namespace sphere::agent {

std::optional<Phase> next_phase(Phase from, Event event) {
  const auto* const found = std::ranges::find_if(kTransitions, [&](const Transition& transition) {
    return transition.from == from && transition.event == event;
  });
  if (found == kTransitions.end()) {
    return std::nullopt;
  }
  return found->to;
}

std::string_view to_text(Phase phase) {
  switch (phase) {
    case Phase::absent:
      return "absent";
    case Phase::stopped:
      return "stopped";
    case Phase::starting:
      return "starting";
    case Phase::running:
      return "running";
    case Phase::debugging:
      return "debugging";
    case Phase::stopping:
      return "stopping";
    case Phase::backing_off:
      return "backing-off";
  }
  return "unknown";
}

std::string_view to_text(Event event) {
  switch (event) {
    case Event::installed:
      return "installed";
    case Event::start:
      return "start";
    case Event::refused:
      return "refused";
    case Event::refused_again:
      return "refused-again";
    case Event::released:
      return "released";
    case Event::held:
      return "held";
    case Event::let_go:
      return "let-go";
    case Event::stop:
      return "stop";
    case Event::ended_again:
      return "ended-again";
    case Event::ended_often:
      return "ended-often";
    case Event::due:
      return "due";
    case Event::ended:
      return "ended";
    case Event::removed:
      return "removed";
  }
  return "unknown";
}

device_api::AppState to_app_state(Phase phase) {
  switch (phase) {
    case Phase::absent:
      return device_api::AppState::not_present;
    case Phase::stopped:
    case Phase::backing_off:
      return device_api::AppState::stopped;
    case Phase::debugging:
      return device_api::AppState::debugging;
    case Phase::starting:
    case Phase::running:
    case Phase::stopping:
      return device_api::AppState::running;
  }
  return device_api::AppState::not_present;
}

}  // namespace sphere::agent
