// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "cli/commands/command.h"
#include "cli/context.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/device/link_service.h"
#include "sphere/recovery/runner.h"

namespace sphere::cli {

// A board that is to be recovered, and the way to its recovery UART.
struct RecoveryTarget {
  std::string path;      // Connection path.
  std::string location;  // Of USB; empty for a serial device or TCP.
  std::string product = {};
  std::string serial = {};
  std::string port = {};  // As --port gave it.
};

// The board that --port or --device names, or the only one on USB. Nothing is opened. Errors:
// not_found (link.no-board), invalid_argument (link.ambiguous, usage.bad-value).
[[nodiscard]] Result<RecoveryTarget> find_recovery_target(Context& context,
                                                          const Arguments& arguments);

// The open UART, this process's own as long as this lives.
struct RecoveryLine {
  // Kept open: link serve takes the board back when it closes.
  std::optional<device::LinkClient> service = {};
  std::optional<FileLock> lock = {};
  std::unique_ptr<recovery::Carrier> carrier;
};

// Asks link serve to release the board, takes its lock, opens it. Errors: busy (link.busy, with the
// holder), permission (link.permission), not_found, unavailable (link.no-board), io.
[[nodiscard]] Result<RecoveryLine> open_recovery_line(Context& context,
                                                      const RecoveryTarget& target, bool manual);

}  // namespace sphere::cli
