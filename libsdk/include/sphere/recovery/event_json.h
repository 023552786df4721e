// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>

#include "sphere/json/value.h"
#include "sphere/recovery/event.h"

namespace sphere::recovery {

// One event as an object, `at` milliseconds after the start:
//
//   {"event":"step","t_ms":1200,"board":"1243","name":"loader","index":6,"of":12}
//
// `event` is found, waiting, identified, preflight, step, progress, device_log, retry or warning.
// Texts of the device are escaped (core/text.h).
[[nodiscard]] json::Value to_json(const Event& event, Time at, std::string_view board);

// The last event, "result": the three verdicts, and the error when there is one.
[[nodiscard]] json::Value result_to_json(const Outcome& outcome, Verdict booted, Time at,
                                         std::string_view board);

}  // namespace sphere::recovery
