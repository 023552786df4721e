// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "device-agent/virtual-board/requests.h"
#include "device-agent/virtual-board/service_uart.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"

namespace sphere::virtual_board {

// What sphere-board reads from board.json; other members belong to the tools.
struct BoardFile {
  BoardIdentity identity;
  std::uint16_t port = 0;  // On 127.0.0.1; 0: none.
  ServiceUartPlan service_uart = {};
};

// Errors: not_found (no board in this directory), corrupt (board.json, naming the member), as
// system_error().
[[nodiscard]] Result<BoardFile> read_board_file(const std::filesystem::path& directory);

// The right to run the board in `directory`: held by one sphere-board at a time, whose process id
// is the lock file's text. Errors: busy, with that id as value; as system_error().
[[nodiscard]] Result<FileLock> lock_board(const std::filesystem::path& directory);

}  // namespace sphere::virtual_board
