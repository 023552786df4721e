// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "sphere/device_api/bodies.h"

namespace sphere::agent {

enum class Phase : std::uint8_t {
  absent,       // No image.
  stopped,      // Installed and not running.
  starting,     // Process made, waiting at the start gate.
  running,      // Gate released.
  debugging,    // Stands under the debugger, or runs as it lets it.
  stopping,     // SIGTERM sent, grace running.
  backing_off,  // Ended, next start scheduled.
};

enum class Event : std::uint8_t {
  installed,      // The store holds an image.
  start,          // By hand, at boot, after install.
  refused,        // The sandbox or a check said no.
  refused_again,  // The same of a start after an end or a wait: tried again later.
  released,       // The self-check passed and the program runs.
  held,           // The self-check passed and the program stands at its first instruction.
  let_go,         // The debugger has left it to itself.
  stop,           // By hand, before an update or a delete.
  ended_again,    // Ended while running; starts again at once.
  ended_often,    // Ended while running; starts again later.
  due,            // The wait is over.
  ended,          // Ended while stopping.
  removed,        // The store no longer holds an image.
};

struct Transition {
  Phase from;
  Event event;
  Phase to;
};

// Every change of state there is. A pair that is not listed does not happen.
// NOLINTBEGIN(modernize-use-designated-initializers): rows of a table
inline constexpr std::array kTransitions = {
    Transition{Phase::absent, Event::installed, Phase::stopped},
    Transition{Phase::stopped, Event::installed, Phase::stopped},
    Transition{Phase::stopped, Event::start, Phase::starting},
    Transition{Phase::stopped, Event::stop, Phase::stopped},
    Transition{Phase::stopped, Event::removed, Phase::absent},
    Transition{Phase::starting, Event::refused, Phase::stopped},
    Transition{Phase::starting, Event::refused_again, Phase::backing_off},
    Transition{Phase::starting, Event::released, Phase::running},
    Transition{Phase::starting, Event::held, Phase::debugging},
    Transition{Phase::debugging, Event::let_go, Phase::running},
    Transition{Phase::debugging, Event::stop, Phase::stopping},
    Transition{Phase::debugging, Event::ended, Phase::stopped},
    Transition{Phase::running, Event::stop, Phase::stopping},
    Transition{Phase::running, Event::ended_again, Phase::starting},
    Transition{Phase::running, Event::ended_often, Phase::backing_off},
    Transition{Phase::stopping, Event::ended, Phase::stopped},
    Transition{Phase::backing_off, Event::due, Phase::starting},
    Transition{Phase::backing_off, Event::start, Phase::starting},
    Transition{Phase::backing_off, Event::stop, Phase::stopped},
};
// NOLINTEND(modernize-use-designated-initializers)

// The state after `event`, or nothing when it cannot happen in `from`.
[[nodiscard]] std::optional<Phase> next_phase(Phase from, Event event);

[[nodiscard]] std::string_view to_text(Phase phase);
[[nodiscard]] std::string_view to_text(Event event);

// What the REST API says for it.
[[nodiscard]] device_api::AppState to_app_state(Phase phase);

}  // namespace sphere::agent
