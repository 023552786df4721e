// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <sys/types.h>

#include "sphere/core/result.h"
#include "sphere/device/virtual_board.h"

namespace sphere::device {

// The process id of the sphere-board that runs the board in `directory`: it holds the flock of the
// file `lock` and has written its id into it. 0 when none does, also when the id there is stale.
[[nodiscard]] pid_t running_pid(const std::filesystem::path& directory);

// Whether somebody listens on that Unix socket.
[[nodiscard]] bool accepts_connections(const std::filesystem::path& socket);

struct BoardLaunch {
  std::filesystem::path program;    // sphere-board
  std::filesystem::path directory;  // Of the board.
  std::filesystem::path runtime;    // Directory for rest.sock.
  std::filesystem::path sdk;        // May be empty.
};

// Starts sphere-board, detached, and waits until it says that it is ready. On an error it does not
// run. Errors: as VirtualBoards::start().
[[nodiscard]] Result<pid_t> launch_board(const BoardLaunch& launch,
                                         std::chrono::steady_clock::time_point until,
                                         const Cancelled& cancelled);

// Ends the sphere-board of `directory` and waits for its end. Nothing is sent to a process that
// does not hold the lock. Errors: timeout.
[[nodiscard]] Result<void> end_board(const std::filesystem::path& directory,
                                     std::chrono::milliseconds patience);

// The last `count` lines of the board's log, or "".
[[nodiscard]] std::string log_tail(const std::filesystem::path& directory, std::size_t count);

}  // namespace sphere::device
