// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/commands/command.h"
#include "cli/context.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/device/link_service.h"
#include "sphere/recovery/carrier.h"
#include "sphere/recovery/table.h"

namespace sphere::cli {

// A board that is to be recovered, and the way to it.
struct RecoveryTarget {
  std::string path;      // Connection path.
  std::string location;  // Of USB; empty for a serial device or TCP.
  std::string product = {};
  std::string serial = {};
  std::string port = {};  // As --port gave it.
};

// The boards that --port or --device names, or the only one that `protocol` finds on USB, or with
// --all every one. Nothing is opened. Errors: not_found (link.no-board), invalid_argument
// (link.ambiguous, usage.bad-value).
[[nodiscard]] Result<std::vector<RecoveryTarget>> find_recovery_targets(
    Context& context, const Arguments& arguments, const recovery::Protocol& protocol,
    const recovery::PreparedRecovery& prepared);

// The open way, this process's own as long as this lives.
struct RecoveryLine {
  // Kept open: link serve takes the board back when it closes.
  std::optional<device::LinkClient> service = {};
  std::optional<FileLock> lock = {};
  std::unique_ptr<recovery::Carrier> carrier = {};
};

// Asks link serve to release the board, takes its lock, opens it. Errors: busy (link.busy, with the
// holder), permission (link.permission), not_found, unavailable (link.no-board), io.
[[nodiscard]] Result<RecoveryLine> open_recovery_line(const device::UserDirectories& directories,
                                                      const RecoveryTarget& target,
                                                      const recovery::Protocol& protocol,
                                                      const recovery::PreparedRecovery& prepared,
                                                      bool manual);

}  // namespace sphere::cli
