// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "device-agent/virtual-board/recovery/faults.h"
#include "sphere/core/result.h"
#include "sphere/recovery/event.h"

namespace sphere::virtual_board {

// The command line of `sphere-board rom`.
struct RomOptions {
  std::string protocol = {};
  std::vector<std::filesystem::path> keys = {};  // Public keys that the board trusts.
  std::string board = {};                        // Board id; the kind's own when empty.
  std::filesystem::path identity = {};           // Private key of the device; empty: none.
  std::uint32_t floor = 0;                       // Least security version.
  std::filesystem::path flash = {};              // Empty: erased, and gone at the end.
  std::optional<std::uint16_t> port = {};        // TCP on 127.0.0.1; nothing: a pty.
  std::uint32_t baud = 0;                        // Modelled rate; 0: as fast as it goes.
  recovery::Time turnaround = {};
  std::vector<Fault> faults = {};
  std::uint32_t seed = 1;
  std::filesystem::path log = {};  // All bytes with time and direction.
  bool once = false;
  bool help = false;
};

inline constexpr std::string_view kRomUsage =
    "usage: sphere-board rom PROTOCOL --key FILE [--flash FILE] [--tcp PORT | --pty]\n"
    "                        [--baud N] [--turnaround MS] [--fault SPEC]... [--seed N]\n"
    "                        [--log FILE] [--once] [--board ID] [--identity FILE] [--floor N]\n"
    "\n"
    "Plays a board that waits in its recovery ROM. Each connection powers it on anew. All of it "
    "is\n"
    "simulated.\n"
    "\n"
    "  PROTOCOL         mt3620 or sphere-v3\n"
    "  --key FILE       public key in PEM that the board trusts; may be given again\n"
    "  --board ID       what the board says it is (sphere-v3; sphere-virtual when not given)\n"
    "  --identity FILE  private key of the device in PEM; made when missing (sphere-v3)\n"
    "  --floor N        least security version that it takes (sphere-v3)\n"
    "  --flash FILE     what the flash holds; made when missing, written after each connection\n"
    "  --tcp PORT       listen on 127.0.0.1; 0 takes a free port\n"
    "  --pty            be a serial device (the default)\n"
    "  --baud N         pace bytes like a UART of that rate\n"
    "  --turnaround MS  what the board says arrives so much later\n"
    "  --fault SPEC     KIND[=VALUE]@WHERE, such as drop@in:byte=70000 "
    "(docs/protocols/recovery.md)\n"
    "  --seed N         for faults of a rate\n"
    "  --log FILE       all bytes in hexadecimal, with time and direction\n"
    "  --once           end after the first connection: 0 the board is complete, 1 it is not\n"
    "\n"
    "Prints `ready ADDRESS` when it listens, and after each connection a line of JSON.\n";

// Reads the words behind `rom`. Errors: invalid_argument, naming the option.
[[nodiscard]] Result<RomOptions> parse_rom_options(std::span<const char* const> arguments);

}  // namespace sphere::virtual_board
