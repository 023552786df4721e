// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "device-agent/agent/apps/app_network.h"
#include "device-agent/agent/apps/backoff.h"
#include "device-agent/agent/apps/executable.h"
#include "device-agent/agent/apps/output_log.h"
#include "device-agent/agent/apps/store.h"
#include "device-agent/agent/apps/transitions.h"
#include "device-agent/agent/broker/session.h"
#include "device-agent/agent/debug/debug_session.h"
#include "device-agent/agent/debug/debug_target.h"
#include "device-agent/agent/loop.h"
#include "device-agent/agent/sandbox/launcher.h"
#include "sphere/core/descriptor.h"
#include "sphere/device_api/bodies.h"
#include "sphere/manifest/manifest.h"

namespace sphere::agent {

// What the manager knows of one installed app.
struct App {
  StoredApp stored;
  std::optional<manifest::Manifest> manifest = {};  // Nothing: the image can no longer be read.
  Phase phase = Phase::stopped;
  Backoff backoff = {};
  std::int64_t restarts = 0;
  std::optional<device_api::LastExit> last_exit = {};
  std::optional<SandboxReport> sandbox = {};
  std::shared_ptr<OutputLog> output = {};  // Shared with the followers of the output.

  // While it runs.
  std::unique_ptr<AppProcess> process = {};
  std::unique_ptr<BrokerSession> broker = {};
  std::unique_ptr<AppNetwork> network = {};
  Descriptor output_pipe = {};
  std::unique_ptr<DebugSession> debug = {};    // While it is debugged.
  std::unique_ptr<DebugTarget> debugged = {};  // Its stub after that.
  std::chrono::nanoseconds started{0};
  std::string started_at = {};
  std::string build_id = {};  // Of its program.
  Machine executable = Machine::native;

  std::optional<Loop::Timer> timer = {};               // SIGKILL, or the next start.
  std::vector<std::function<void()>> on_stopped = {};  // Who waits for its end.
};

}  // namespace sphere::agent
