// SPDX-License-Identifier: MIT
// The part of AppManager that deals with debugging.
#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <poll.h>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "device-agent/agent/apps/app.h"
#include "device-agent/agent/apps/manager.h"
#include "device-agent/agent/apps/transitions.h"
#include "device-agent/agent/debug/debug_session.h"
#include "device-agent/agent/debug/debug_target.h"
#include "device-agent/agent/debug/emulator_relay.h"
#include "device-agent/agent/refusal.h"
#include "device-agent/agent/sandbox/launcher.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/guid.h"
#include "sphere/core/result.h"
#include "sphere/device_api/error_code.h"
#include "sphere/json/value.h"

namespace sphere::agent {
namespace {

// From its start until it listens the emulator takes some milliseconds, on a busy machine more.
Result<Descriptor> await_emulator(const AppProcess& process) {
  constexpr std::chrono::milliseconds kPause{2};
  constexpr int kTurns = 1500;
  for (int turn = 0; turn < kTurns; ++turn) {
    auto socket = connect_to_emulator(process.pid());
    if (socket || socket.error().code() != Errc::busy) {
      return socket;
    }
    pollfd ended = {.fd = process.descriptor(), .events = POLLIN, .revents = 0};
    if (::poll(&ended, 1, static_cast<int>(kPause.count())) > 0) {
      return fail(Errc::io, "the emulator ended before it waited for gdb");
    }
  }
  return fail(Errc::timeout, "the emulator does not wait for gdb");
}

}  // namespace

void AppManager::start_debug(const Guid& component, const Done& done) {
  auto* app = find(component);
  if (app == nullptr) {
    done(refuse(device_api::kAppNotPresent,
                fmt::format("app {} is not installed on the board", component.text()),
                "list what is there with: sphere device image list-installed"));
    return;
  }
  if (parts_.debug_sockets.empty()) {
    done(refuse(device_api::kDebuggerMissing, "this board has no debugger"));
    return;
  }
  const auto debugged = std::ranges::find_if(
      apps_, [](const auto& entry) { return entry.second->phase == Phase::debugging; });
  if (debugged != apps_.end()) {
    const auto id = debugged->first.text();
    done(refuse(device_api::kBusy, fmt::format("app {} is being debugged already", id),
                "stop it first: sphere device app stop --component-id " + id));
    return;
  }
  const auto begin = [this, component, done] {
    auto* stopped = find(component);
    if (stopped == nullptr) {
      done(refuse(device_api::kAppNotPresent, "the app has been deleted meanwhile"));
      return;
    }
    stopped->backoff.clear();
    done(start_now(*stopped, Event::start, Mode::debug));
  };
  stop_app(*app, begin);
}

Answer<void> AppManager::begin_debug(App& app, std::unique_ptr<DebugSession> session,
                                     Descriptor stub) {
  std::unique_ptr<DebugTarget> target;
  if (app.executable == Machine::arm) {
    auto emulator = await_emulator(*app.process);
    if (!emulator) {
      detach(app);
      return refuse(device_api::kDebugFailed, emulator.error());
    }
    target =
        std::make_unique<EmulatorRelay>(*parts_.loop, *std::move(emulator),
                                        [process = app.process.get()] { process->interrupt(); });
  } else {
    target = make_native_target(*parts_.loop, std::move(stub));
  }
  const auto component = app.stored.component;
  session->serve(
      std::move(target),
      {.attached =
           [this, &app] {
             parts_.events->add("DebugAttached", app.stored.component.text(),
                                app.stored.image.text(), json::Value{json::Object{}});
           },
       // Not from within the session, which ends then.
       .detached = [this,
                    component] { parts_.loop->post([this, component] { end_debug(component); }); },
       .abandoned =
           [this, component] {
             parts_.loop->post([this, component] { stop(component, [](const Answer<void>&) {}); });
           }});
  app.debug = std::move(session);
  return {};
}

// gdb has let the app go: from now on it is one as any other.
void AppManager::end_debug(const Guid& component) {
  auto* app = find(component);
  if (app == nullptr || !app->debug || !move(*app, Event::let_go)) {
    return;
  }
  app->debugged = app->debug->take_target();
  app->debug.reset();
  app->started = parts_.clock->monotonic();
}

std::optional<json::Value> AppManager::debug_status(const Guid& component) const {
  const auto* app = find(component);
  if (app == nullptr || !app->debug) {
    return std::nullopt;
  }
  auto status = app->debug->status();
  status.set("state", to_text(app->phase));
  return status;
}

}  // namespace sphere::agent
