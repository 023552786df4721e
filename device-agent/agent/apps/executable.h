// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "device-agent/agent/refusal.h"

namespace sphere::agent {

enum class Machine : std::uint8_t {
  arm,     // ARMv7, through the emulator.
  native,  // Of the board's own processor.
};

struct Executable {
  Machine machine = Machine::arm;
  bool dynamic = false;  // Needs an interpreter, and so the runtime's libraries.
};

// Reads the head of an entry point. Refusal: kEntryPointNotExecutable for anything but a 32-bit ARM
// or a native program; an interpreter must be the one of the runtime.
[[nodiscard]] Answer<Executable> check_executable(std::span<const std::byte> content);

}  // namespace sphere::agent
