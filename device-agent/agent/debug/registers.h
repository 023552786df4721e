// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>

#include "device-agent/agent/debug/gdb_stub.h"

namespace sphere::agent {

// Of this machine; null where the stub does not know its registers.
[[nodiscard]] const RegisterLayout* own_registers();

// All registers of a stopped thread that this process traces, in the order of own_registers().
[[nodiscard]] std::optional<std::string> read_all_registers(pid_t thread);
[[nodiscard]] bool write_all_registers(pid_t thread, std::string_view bytes);

struct Counter {
  std::uint64_t program = 0, stack = 0;
};
[[nodiscard]] std::optional<Counter> read_counter(pid_t thread);
[[nodiscard]] bool write_program_counter(pid_t thread, std::uint64_t address);

// How far behind a breakpoint the program counter is when it has struck.
[[nodiscard]] std::uint64_t breakpoint_distance();

}  // namespace sphere::agent
