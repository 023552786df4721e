// SPDX-License-Identifier: MIT
#pragma once

#include "device-agent/virtual-board/options.h"

namespace sphere::virtual_board {

// Runs one board until SIGTERM: first its recovery loader, if it is broken, then the board itself.
// The descriptor of the options gets a line once either is ready, or why it is not. Returns the
// exit status.
[[nodiscard]] int run_board(const Options& options);

}  // namespace sphere::virtual_board
