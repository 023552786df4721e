// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>
#include <span>
#include <string_view>

#include "sphere/core/result.h"

namespace sphere::virtual_board {

struct Options {
  std::filesystem::path directory;  // --directory: the board's files.
  std::filesystem::path runtime;    // --runtime: the place of rest.sock.
  std::filesystem::path sdk = {};   // --sdk: holds Runtime/; empty: the sdk folder beside bin.
  int ready_fd = 1;                 // --ready-fd: gets "ready" or "error: ...".
  bool help = false;
};

inline constexpr std::string_view kUsage =
    "usage: sphere-board --directory DIR --runtime DIR [--sdk DIR] [--ready-fd N]\n"
    "\n"
    "Runs one virtual board in the foreground until SIGTERM. `sphere board start` calls it.\n"
    "\n"
    "  --directory DIR  files of the board, made by `sphere board create`\n"
    "  --runtime DIR    where the socket of the device REST API is made (rest.sock)\n"
    "  --sdk DIR        the SDK; its Runtime folder runs apps of other processors\n"
    "  --ready-fd N     descriptor that gets the line `ready` or `error: ...` (default 1)\n";

// Reads the command line without the program's name. Errors: invalid_argument, naming the option.
[[nodiscard]] Result<Options> parse_options(std::span<const char* const> arguments);

}  // namespace sphere::virtual_board
