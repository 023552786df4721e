// SPDX-License-Identifier: MIT
#pragma once

#include <span>

#include "device-agent/virtual-board/recovery/rom_options.h"
#include "sphere/core/clock.h"
#include "sphere/core/result.h"

namespace sphere::virtual_board {

// Runs `sphere-board rom` until SIGTERM or SIGINT, or for one connection. True: the board is
// complete. Errors: those of files and keys; busy (the port is taken); invalid_argument for a fault
// that the board does not have.
[[nodiscard]] Result<bool> run_rom(const RomOptions& options, const Clock& clock);

// The words behind `sphere-board rom`. Returns the exit status: 0 the board is complete, 1 it is
// not or something failed, 2 the line makes no sense.
[[nodiscard]] int rom_command(std::span<const char* const> arguments);

}  // namespace sphere::virtual_board
