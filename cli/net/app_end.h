// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "cli/context.h"
#include "cli/net/connection.h"
#include "sphere/core/guid.h"
#include "sphere/core/result.h"
#include "sphere/device/rest_client.h"
#include "sphere/device_api/bodies.h"

namespace sphere::cli {

// Where the names of functions come from when an app has crashed.
struct Symbols {
  std::filesystem::path program = {};  // With its symbols; empty: none is known.
  std::filesystem::path sdk_directory = {};
};

// How an app ended, in one line: what, where, why.
//
//   exit code 7
//   signal 11 (SIGSEGV): nothing is mapped at 0x0; at /bin/app+0x1139, step_on (probe.c:17)
//   out of memory: needed more than its 256 KiB (killed at 576 KiB, with 320 KiB of the kernel's)
//   watchdog: signal 14 (SIGALRM), which the app does not handle
[[nodiscard]] std::string end_text(const device_api::LastExit& end, const Symbols& symbols);

// Looks now and then how often an app has ended while something else is going on, and warns.
class EndWatch {
 public:
  // A connection of its own to the session's device. Error: that of http::make_client().
  [[nodiscard]] static Result<std::unique_ptr<EndWatch>> create(Context& context,
                                                                const DeviceSession& session,
                                                                const Guid& component,
                                                                Symbols symbols);
  // May be called as often as one likes; a device that does not answer is left alone.
  void look();
  // The same at once.
  void look_now();

 private:
  EndWatch(Context& context, device::RestClient rest, std::string component, Symbols symbols);

  Context* context_;
  device::RestClient rest_;
  std::string component_;
  Symbols symbols_;
  std::chrono::nanoseconds next_{0};
  std::string seen_;  // What was told last.
};

}  // namespace sphere::cli
