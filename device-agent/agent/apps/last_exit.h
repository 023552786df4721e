// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "device-agent/agent/sandbox/crash_record.h"
#include "sphere/core/process.h"
#include "sphere/device_api/bodies.h"

namespace sphere::agent {

// How an app ended, as the kernel and its init tell.
struct AppEnd {
  ExitStatus status;
  std::optional<CrashRecord> crash;
  bool out_of_memory = false;    // Killed by the kernel at its limit.
  std::uint64_t peak_bytes = 0;  // Then the most it had; 0: not known.
};

// What was the app's limit.
struct AppMemory {
  std::uint64_t budget_bytes = 0;
  std::uint64_t limit_bytes = 0;
};

// exit, signal, limit (killed at its memory limit) or watchdog (the alarm that it did not handle).
[[nodiscard]] std::string_view kind_of(const AppEnd& end);

// The same as the list of apps tells it: what, where and why. `build_id` is that of the app's
// program, or empty.
[[nodiscard]] device_api::LastExit to_last_exit(const AppEnd& end, const AppMemory& memory,
                                                std::string_view build_id, std::string at);

}  // namespace sphere::agent
