// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <sys/types.h>

namespace sphere::agent {

// Without a memory cgroup: what /proc says of one process, in KiB; zeros when it has ended.
struct ProcessMemory {
  std::uint64_t total_kb = 0;  // Proportional set size.
  std::uint64_t user_kb = 0;   // Anonymous and shared memory.
  std::uint64_t peak_kb = 0;   // Highest resident size.
};
[[nodiscard]] ProcessMemory process_memory(pid_t pid);

}  // namespace sphere::agent
