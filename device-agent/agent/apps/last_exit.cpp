// SPDX-License-Identifier: MIT
#include "device-agent/agent/apps/last_exit.h"

#include <csignal>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "device-agent/agent/sandbox/crash_record.h"
#include "sphere/device_api/bodies.h"

namespace sphere::agent {
namespace {

std::string hexadecimal(std::uint64_t value) { return fmt::format("{:#x}", value); }

device_api::CodePlace to_body(const CodePlace& place) {
  device_api::CodePlace body;
  if (place.address != 0) {
    body.address = hexadecimal(place.address);
  }
  if (!place.module.empty()) {
    body.module = place.module;
    body.offset = hexadecimal(place.offset);
  }
  return body;
}

device_api::Crash to_body(const CrashRecord& record, std::string_view build_id) {
  return {.at = to_body(record.program_counter),
          .caller = to_body(record.return_address),
          .fault_address = hexadecimal(record.fault_address),
          .signal_code = record.code,
          .thread = record.thread,
          .build_id = std::string{build_id}};
}

}  // namespace

std::string_view kind_of(const AppEnd& end) {
  if (end.status.signal == 0) {
    return "exit";
  }
  if (end.out_of_memory) {
    return "limit";
  }
  return end.status.signal == SIGALRM ? "watchdog" : "signal";
}

device_api::LastExit to_last_exit(const AppEnd& end, const AppMemory& memory,
                                  std::string_view build_id, std::string at) {
  const int signal = end.status.signal;
  device_api::LastExit exit{.kind = std::string{kind_of(end)},
                            .code = signal != 0 ? signal : end.status.code,
                            .at = std::move(at)};
  if (end.crash) {
    exit.crash = to_body(*end.crash, build_id);
  }
  if (end.out_of_memory) {
    exit.memory =
        device_api::MemoryEnd{.budget_bytes = static_cast<std::int64_t>(memory.budget_bytes),
                              .limit_bytes = static_cast<std::int64_t>(memory.limit_bytes),
                              .used_bytes = static_cast<std::int64_t>(end.peak_bytes)};
  }
  return exit;
}

}  // namespace sphere::agent
