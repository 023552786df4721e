// SPDX-License-Identifier: MIT
#pragma once

#include <functional>
#include <memory>
#include <sys/types.h>

#include "device-agent/agent/loop.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/result.h"

namespace sphere::agent {

// What gdb connects to behind port 2345: the stub of one app. Belongs to the loop's thread.
class DebugTarget {
 public:
  // What a target tells. It may be destroyed in any of them but the first.
  struct Events {
    std::function<void(bool halted)> left;  // gdb has left without letting the app go.
    std::function<void()> detached;         // gdb has let the app go.
  };
  virtual ~DebugTarget() = default;
  virtual void start(Events events) = 0;
  // Gives it a client. Not while busy().
  virtual void take(Descriptor client) = 0;
  [[nodiscard]] virtual bool busy() const = 0;
};

// The stub in a native app's init, behind its socket.
[[nodiscard]] std::unique_ptr<DebugTarget> make_native_target(Loop& loop, Descriptor init);

// A connection to the emulator's gdb stub in the sandbox of `app`; busy while it does not listen
// yet.
[[nodiscard]] Result<Descriptor> connect_to_emulator(pid_t app);

}  // namespace sphere::agent
