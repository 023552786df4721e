// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cli/commands/command.h"
#include "cli/context.h"
#include "cli/net/recovery_report.h"
#include "cli/net/recovery_target.h"
#include "sphere/core/result.h"
#include "sphere/recovery/event.h"
#include "sphere/recovery/file_set.h"
#include "sphere/recovery/table.h"

namespace sphere::cli {

// A set that was checked, and what is to be done with it.
struct RecoveryPlan {
  recovery::FileSet files;
  const recovery::Protocol* protocol = nullptr;
  recovery::PreparedRecovery prepared;
};

// What became of one board.
struct BoardRecovery {
  RecoveryTarget target;
  recovery::Outcome outcome = {};
  recovery::Verdict booted = recovery::Verdict::unknown;
  std::string device_id = {};
  std::chrono::seconds took{0};
  std::optional<Error> error = {};  // Why it did not end well, in words for a person.
};

// Recovers all `targets` at the same time, each on a thread of its own, and then, if that is wanted
// and can be seen, waits until they have booted.
[[nodiscard]] std::vector<BoardRecovery> recover_boards(Context& context,
                                                        const Arguments& arguments,
                                                        const RecoveryPlan& plan,
                                                        std::span<const RecoveryTarget> targets,
                                                        RecoverySinks& sinks);

}  // namespace sphere::cli
