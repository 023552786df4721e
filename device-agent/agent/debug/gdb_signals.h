// SPDX-License-Identifier: MIT
#pragma once

#include <optional>

namespace sphere::agent {

// gdb counts signals its own way, the same for every system.
[[nodiscard]] int gdb_signal_of(int signal);  // 143 (unknown) for one that gdb has no number for.
[[nodiscard]] std::optional<int> signal_of_gdb(unsigned number);

}  // namespace sphere::agent
