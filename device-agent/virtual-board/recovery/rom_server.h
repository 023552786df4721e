// SPDX-License-Identifier: MIT
#pragma once

#include <functional>
#include <span>
#include <string>

#include "device-agent/virtual-board/recovery/rom_options.h"
#include "sphere/core/clock.h"
#include "sphere/core/result.h"

namespace sphere::virtual_board {

struct RomHooks {
  std::function<void(const std::string& address)> ready;  // It listens.
  std::function<void(const std::string& line)> report;    // JSON, after each connection.
  bool until_complete = false;                            // Ends once the board is complete, too.
};
struct RomEnd {
  bool complete = false;
  bool stopped = false;  // By SIGTERM or SIGINT.
};

// Runs a board in its ROM or loader until SIGTERM or SIGINT, or for one connection. Errors: those
// of files and keys; busy (the port is taken); invalid_argument for a fault that the board does not
// have.
[[nodiscard]] Result<RomEnd> run_rom(const RomOptions& options, const Clock& clock,
                                     const RomHooks& hooks);

// The words behind `sphere-board rom`. Returns the exit status: 0 the board is complete, 1 it is
// not or something failed, 2 the line makes no sense.
[[nodiscard]] int rom_command(std::span<const char* const> arguments);

}  // namespace sphere::virtual_board
