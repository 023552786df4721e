// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <span>

#include "sphere/core/clock.h"
#include "sphere/core/result.h"
#include "sphere/recovery/carrier.h"
#include "sphere/recovery/driver.h"
#include "sphere/recovery/event.h"
#include "sphere/recovery/file_set.h"
#include "sphere/recovery/table.h"

namespace sphere::recovery {

struct RunnerConfig {
  const Clock* clock = nullptr;
  const FileSet* files = nullptr;
  // Gets each event with its time since the start.
  std::function<void(const Event&, Time)> sink = {};
  // True when the user pressed Ctrl-C; asked ten times a second.
  std::function<bool()> cancelled = {};
  // For the whole run.
  Time limit = std::chrono::minutes{15};
  // Sees all that passes, for a log: true is to the board.
  std::function<void(bool, std::span<const std::byte>)> tap = {};
  // Time that has passed before: events and the limit count from there.
  Time before = {};
};

// Makes the client again for what came back after an ExpectReenumeration.
using RemakeDriver = std::function<Result<std::unique_ptr<Driver>>()>;

// Lets a driver work on an open carrier until it finishes. An error of the carrier is a lost link
// for the driver; waits longer than 2 s are told as Waiting, then every 5 s. A device that comes
// back as the driver expected is a LinkBack for it, or the start of the driver that `remake` gives.
[[nodiscard]] Outcome run_driver(Driver& driver, Carrier& carrier, const RunnerConfig& config,
                                 const RemakeDriver& remake = {});

// How long a board that was pulled out after its flash was touched is waited for.
inline constexpr Time kReplugLimit = std::chrono::seconds{30};
inline constexpr unsigned kReplugs = 5;

// The whole of a recovery on an open carrier: makes the client and runs it. A board that is pulled
// out once its flash was touched is of no use: when it comes back to the same place within
// `replug_limit`, all begins anew there, and what is right already is skipped where the protocol
// can tell. A board with another device id or USB serial in its place is left alone.
[[nodiscard]] Outcome recover_board(const PreparedRecovery& prepared, Carrier& carrier,
                                    const RunnerConfig& config, Time replug_limit = kReplugLimit);

}  // namespace sphere::recovery
