// SPDX-License-Identifier: MIT
#pragma once

#include <optional>
#include <sys/types.h>

#include "device-agent/agent/sandbox/crash_record.h"
#include "device-agent/agent/sandbox/step.h"
#include "sphere/json/value.h"

namespace sphere::agent {

// Whether `signal` ends a program for a fault of its own, and `thread`'s program does not handle
// it.
[[nodiscard]] bool is_fatal_fault(pid_t thread, int signal);
// Whether the program of `thread` handles `signal`; nothing where the kernel does not tell.
[[nodiscard]] std::optional<bool> is_handled(pid_t thread, int signal);

// Where `thread`, which this process traces and which stands because of `signal`, is.
[[nodiscard]] std::optional<CrashRecord> read_crash(pid_t thread, int signal);

// How the init of an app waits for it. It traces the app, for nothing but to see where it stood
// when a signal ended it: the kernel's own core pipe belongs to the machine, not to one agent. The
// init owns the app's user namespace and may do that without a capability.
class AppWatch {
 public:
  // Before the app has given up its rights.
  [[nodiscard]] static std::optional<AppWatch> trace(pid_t app);
  // Without tracing.
  explicit AppWatch(pid_t app) : app_{app} {}

  // Waits for the end of the app and says how: {"exit": code} or {"signal": number, "crash": ...}.
  // Reaps what the app leaves meanwhile.
  [[nodiscard]] json::Value wait();

 private:
  void on_stop(pid_t thread, int status);

  pid_t app_;
  std::optional<CrashRecord> last_;
};

}  // namespace sphere::agent
