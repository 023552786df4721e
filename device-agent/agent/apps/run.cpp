// SPDX-License-Identifier: MIT
// The part of AppManager that deals with processes: start, output, end, restart.
#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <fcntl.h>
#include <filesystem>
#include <memory>
#include <optional>
#include <poll.h>
#include <span>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "device-agent/agent/apps/admission.h"
#include "device-agent/agent/apps/app.h"
#include "device-agent/agent/apps/app_network.h"
#include "device-agent/agent/apps/executable.h"
#include "device-agent/agent/apps/last_exit.h"
#include "device-agent/agent/apps/manager.h"
#include "device-agent/agent/apps/transitions.h"
#include "device-agent/agent/apps/verified_file.h"
#include "device-agent/agent/broker/service.h"
#include "device-agent/agent/broker/session.h"
#include "device-agent/agent/debug/debug_session.h"
#include "device-agent/agent/loop.h"
#include "device-agent/agent/refusal.h"
#include "device-agent/agent/sandbox/crash_record.h"
#include "device-agent/agent/sandbox/ip_address.h"
#include "device-agent/agent/sandbox/launcher.h"
#include "device-agent/agent/sandbox/plan.h"
#include "device-agent/agent/sandbox/planner.h"
#include "device-agent/agent/sandbox/policy.h"
#include "device-agent/agent/sandbox/report.h"
#include "sphere/core/clock.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/file.h"
#include "sphere/core/process.h"
#include "sphere/core/result.h"
#include "sphere/device_api/error_code.h"
#include "sphere/image/asxipfs.h"
#include "sphere/image/package.h"
#include "sphere/json/value.h"
#include "sphere/manifest/manifest.h"

namespace sphere::agent {
namespace {

// The wait after a start that was refused, unless the back-off asks for more.
constexpr std::chrono::seconds kRefusedDelay{1};

struct Ends {
  Descriptor ours, theirs;
};

Result<Ends> make_output_pipe() {
  std::array<int, 2> ends = {};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    return tl::unexpected<Error>{system_error("create", "pipe", errno)};
  }
  // Neither end waits for the other: what an app prints beyond the pipe's room is dropped.
  ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
  ::fcntl(ends[1], F_SETFL, O_NONBLOCK);
  return Ends{.ours = Descriptor{ends[0]}, .theirs = Descriptor{ends[1]}};
}

Result<Ends> make_packet_sockets() {
  std::array<int, 2> ends = {};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return tl::unexpected<Error>{system_error("create", "socket pair", errno)};
  }
  return Ends{.ours = Descriptor{ends[0]}, .theirs = Descriptor{ends[1]}};
}

// What a start under the debugger needs beside.
struct DebugParts {
  std::unique_ptr<DebugSession> session;
  Ends socket;
};

Answer<DebugParts> make_debug_parts(Loop& loop, const std::filesystem::path& folder) {
  auto session = DebugSession::open(loop, folder);
  if (!session) {
    return refuse(device_api::kDebugFailed, session.error());
  }
  auto socket = make_packet_sockets();
  if (!socket) {
    return refuse(device_api::kInternal, socket.error());
  }
  return DebugParts{.session = *std::move(session), .socket = *std::move(socket)};
}

Answer<image::FileContent> program_of(const image::Package& package, const Plan& plan) {
  const auto* file = package.files.find(plan.entry_point);
  auto content = file == nullptr ? fail(Errc::not_found, "the entry point is not in the package")
                                 : image::read_file_content(package.files, *file);
  if (!content) {
    return refuse(device_api::kEntryPointNotExecutable, content.error());
  }
  return *std::move(content);
}

// Of a start that did not come as far as the launcher.
SandboxReport refused_report(const std::string& component, const KernelFeatures& kernel,
                             const Error& error) {
  return {.component_id = component,
          .policy = {},
          .kernel = kernel.release,
          .checked_at = {},
          .passed = false,
          .layers = {{.id = error.hint().value,
                      .name = std::string{layer_name(error.hint().value)},
                      .state = LayerState::absent,
                      .detail = error.message()}}};
}

// The number for a start that the launcher refused.
device_api::ErrorCode code_of(const Error& error) {
  return error.hint().value == "L12" ? device_api::kEntryPointNotExecutable : device_api::kInternal;
}

}  // namespace

Answer<void> AppManager::start_now(App& app, Event event, Mode mode) {
  if (closing_ || !move(app, event)) {
    return refuse(device_api::kBusy, "the board is shutting down");
  }
  if (app.timer) {  // The wait of a back-off that a start by hand ends.
    parts_.loop->cancel(*app.timer);
    app.timer.reset();
  }
  auto started = launch(app, mode);
  if (!started) {
    auto fields = json::Value{}.set("reason", started.error().message);
    if (app.sandbox && !app.sandbox->passed && !app.sandbox->layers.empty()) {
      fields.set("layer", app.sandbox->layers.back().id);
    }
    parts_.events->add("SandboxRefused", app.stored.component.text(), app.stored.image.text(),
                       std::move(fields));
    // Nobody waits for the answer to a start that the agent made itself: it tries again.
    if (event == Event::ended_again || event == Event::due) {
      move(app, Event::refused_again);
      const auto now = parts_.clock->monotonic();
      restart_later(
          app, std::max<std::chrono::nanoseconds>(app.backoff.on_exit(now, now), kRefusedDelay));
    } else {
      move(app, Event::refused);
    }
    return started;
  }
  move(app, mode == Mode::debug ? Event::held : Event::released);
  app.started = parts_.clock->monotonic();
  app.started_at = to_rfc3339(parts_.clock->unix_seconds());
  parts_.events->add("AppStarted", app.stored.component.text(), app.stored.image.text(),
                     json::Value{json::Object{}});
  if (mode == Mode::plain) {
    watch_recovery(app);
  }
  return {};
}

void AppManager::watch_recovery(App& app) {
  if (!app.backoff.waiting()) {
    return;
  }
  app.timer = parts_.loop->after(Backoff::kHealthy, [this, &app] {
    app.timer.reset();
    app.backoff.clear();
    parts_.events->add("AppRecovered", app.stored.component.text(), app.stored.image.text(),
                       json::Value{json::Object{}});
  });
}

Result<Plan> AppManager::plan_for(const App& app, const Admitted& admitted, Mode mode) const {
  const auto storage = admitted.manifest.capabilities.mutable_storage_kb.value_or(0);
  Plan plan{.component_id = app.stored.component.text(),
            .uid = kFirstAppUid + app.stored.user,
            .rootless = parts_.rootless,
            .agent = ::getpid(),
            .staging = parts_.staging,
            .libraries = {},
            .entry_point = admitted.manifest.entry_point,
            .arguments = admitted.manifest.arguments,
            .emulated = admitted.executable.machine == Machine::arm,
            .file_bytes = storage > 0 ? std::uint64_t{storage} * 1024 : kFileBytesWithout,
            .debug = mode == Mode::debug};
  if (admitted.executable.dynamic) {
    plan.libraries = parts_.runtime / (plan.emulated ? "armhf" : "native");
    if (::access(plan.libraries.c_str(), X_OK) != 0) {
      return fail(Errc::not_found, "the board has no runtime libraries for this app",
                  {.reason = "local.sdk-incomplete",
                   .value = "L4",
                   .next = "repair the SDK folder: run packaging/quickstart"});
    }
  }
  // An emulated app cannot have more than `dev`, on whatever board.
  const bool may_be_dev = plan.emulated || !parts_.may_be_dev || parts_.may_be_dev();
  plan.resolver = to_text(stub_address(app.stored.user));
  return complete_plan(std::move(plan), admitted.manifest.capabilities,
                       parts_.kernel(needs_network(admitted.manifest.capabilities)),
                       {.wanted = parts_.policy, .may_be_dev = may_be_dev});
}

Result<std::unique_ptr<AppNetwork>> AppManager::open_network(
    const App& app, const Plan& plan, const manifest::Capabilities& capabilities) {
  if (!plan.network || !parts_.firewall) {
    return nullptr;
  }
  SPHERE_TRY_ASSIGN(auto* firewall, parts_.firewall());
  auto network = AppNetwork::open({.loop = parts_.loop,
                                   .firewall = firewall,
                                   .events = parts_.events,
                                   .servers = parts_.name_servers},
                                  {.user = app.stored.user,
                                   .component_id = app.stored.component.text(),
                                   .image_id = app.stored.image.text()},
                                  capabilities);
  if (!network) {
    return fail(Errc::permission, "sandbox layer L11 firewall: " + network.error().message(),
                {.reason = "board.sandbox", .value = "L11", .next = network.error().hint().next});
  }
  return network;
}

// Reads the package anew: what was verified at install may have been changed since.
Answer<void> AppManager::launch(App& app, Mode mode) {
  const auto trust = parts_.trust();
  if (!trust) {
    return refuse_trust(trust.error());
  }
  SPHERE_TRY_ASSIGN(const auto file,
                    VerifiedFile::open(parts_.store->image_path(app.stored), *trust));
  if (file.package()->metadata.identity.image_id != app.stored.image) {
    return refuse(device_api::kPackageInvalid, "the stored package is another than installed",
                  "install the app again");
  }
  SPHERE_TRY_ASSIGN(auto admitted, admit(file.package(), parts_.pins, {}));
  const auto plan = plan_for(app, admitted, mode);
  if (!plan && plan.error().hint().reason == "board.sandbox") {
    app.sandbox = refused_report(app.stored.component.text(), parts_.kernel(false), plan.error());
    app.sandbox->checked_at = to_rfc3339(parts_.clock->unix_seconds());
  }
  auto pipe = make_output_pipe();
  auto socket = make_packet_sockets();
  if (!plan || !pipe || !socket) {
    const auto& no_ends = !pipe ? pipe : socket;
    return refuse(device_api::kInternal, !plan ? plan.error() : no_ends.error());
  }
  auto network = open_network(app, *plan, admitted.manifest.capabilities);
  if (!network) {
    app.sandbox =
        refused_report(app.stored.component.text(), parts_.kernel(false), network.error());
    return refuse(device_api::kInternal, network.error());
  }
  SPHERE_TRY_ASSIGN(const auto program, program_of(*file.package(), *plan));
  DebugParts debug;
  if (mode == Mode::debug) {
    SPHERE_TRY_ASSIGN(debug, make_debug_parts(*parts_.loop, parts_.debug_sockets));
  }
  auto launched = parts_.launcher->launch(
      {.plan = *plan,
       .package = file.bytes(),
       .output = pipe->theirs.get(),
       .broker = socket->theirs.get(),
       .debugger = plan->emulated ? -1 : debug.socket.theirs.get(),
       .firewall = *network ? (*network)->found() : std::string{},
       .limits = {.memory_bytes = group_bytes(parts_.memory, plan->emulated),
                  .processes = kProcessLimit}});
  app.sandbox = std::move(launched.report);
  app.sandbox->checked_at = to_rfc3339(parts_.clock->unix_seconds());
  if (!launched.process) {
    const auto& error = launched.refused;
    return error ? refuse(code_of(*error), *error)
                 : refuse(device_api::kInternal, "the app could not be started");
  }
  app.build_id = build_id_of(program.bytes());
  app.executable = admitted.executable.machine;
  app.manifest = std::move(admitted.manifest);
  app.process = std::move(launched.process);
  app.output_pipe = std::move(pipe->ours);
  app.network = *std::move(network);
  app.broker =
      std::make_unique<BrokerSession>(BrokerSession::Parts{.loop = parts_.loop,
                                                           .clock = parts_.clock,
                                                           .service = parts_.broker,
                                                           .events = parts_.events},
                                      AppIdentity{.component = app.stored.component,
                                                  .component_id = app.stored.component.text(),
                                                  .image_id = app.stored.image.text(),
                                                  .capabilities = app.manifest->capabilities},
                                      std::move(socket->ours));
  parts_.loop->watch(app.output_pipe.get(), POLLIN, [this, &app](short) { on_output(app); });
  parts_.loop->watch(app.process->descriptor(), POLLIN, [this, &app](short) { on_process(app); });
  return mode == Mode::debug
             ? begin_debug(app, std::move(debug.session), std::move(debug.socket.ours))
             : Answer<void>{};
}

void AppManager::on_output(App& app) {
  std::array<char, 16384> buffer = {};
  const auto count = ::read(app.output_pipe.get(), buffer.data(), buffer.size());
  if (count > 0) {
    const std::string_view text{buffer.data(), static_cast<std::size_t>(count)};
    app.output->feed(text);
    if (app.debug) {
      app.debug->add_output(text);
    }
  } else if (count == 0) {
    parts_.loop->forget(app.output_pipe.get());
    app.output_pipe.reset();
  }
}

void AppManager::on_process(App& app) {
  const auto status = app.process->poll();
  if (!status) {
    return;
  }
  // What it printed last is in the pipe still.
  for (int piece = 0; piece < 64 && app.output_pipe; ++piece) {
    pollfd polled = {.fd = app.output_pipe.get(), .events = POLLIN, .revents = 0};
    if (::poll(&polled, 1, 0) <= 0) {
      break;
    }
    on_output(app);
  }
  app.output->finish();
  const auto end = end_of(app, *status);
  detach(app);
  note_exit(app, end);
  if (move(app, Event::ended)) {
    for (const auto& waiting : std::exchange(app.on_stopped, {})) {
      waiting();
    }
    return;
  }
  ++app.restarts;
  const bool waited = app.backoff.waiting();
  const auto delay = app.backoff.on_exit(app.started, parts_.clock->monotonic());
  if (app.backoff.waiting() && !waited) {
    parts_.events->add(
        "AppRestartLoop", app.stored.component.text(), app.stored.image.text(),
        json::Value{}.set("exits", static_cast<std::int64_t>(app.backoff.exits_in_window())));
  }
  if (delay.count() > 0) {
    move(app, Event::ended_often);
    restart_later(app, delay);
    return;
  }
  // ended_again leads to starting; a refused start ends in stopped.
  [[maybe_unused]] const auto started = start_now(app, Event::ended_again);
}

void AppManager::restart_later(App& app, std::chrono::nanoseconds delay) {
  app.timer = parts_.loop->after(delay, [this, &app] {
    app.timer.reset();
    [[maybe_unused]] const auto started = start_now(app, Event::due);
  });
}

AppEnd AppManager::end_of(const App& app, const ExitStatus& status) {
  AppEnd end{.status = status, .crash = {}};
  if (const auto* crash = app.process->crash()) {
    end.crash = *crash;
  }
  const auto* group = app.process->group();
  end.out_of_memory = status.signal == SIGKILL && group != nullptr && group->memory_kills() > 0;
  end.peak_bytes = end.out_of_memory ? group->peak_bytes() : 0;
  return end;
}

void AppManager::note_exit(App& app, const AppEnd& end) {
  app.last_exit =
      to_last_exit(end,
                   {.budget_bytes = parts_.memory.app_bytes,
                    .limit_bytes = group_bytes(parts_.memory, app.executable == Machine::arm)},
                   app.build_id, to_rfc3339(parts_.clock->unix_seconds()));
  // Ends that the board asked for are no news.
  if (app.phase == Phase::stopping) {
    return;
  }
  if (end.status.signal != 0) {
    note_signal(app, end);
  } else {
    parts_.events->add("AppExit", app.stored.component.text(), app.stored.image.text(),
                       json::Value{}.set("exit_code", static_cast<std::int64_t>(end.status.code)));
  }
}

void AppManager::note_signal(const App& app, const AppEnd& end) {
  const auto number = [](int value) { return json::Value{static_cast<std::int64_t>(value)}; };
  const auto component = app.stored.component.text();
  const auto image = app.stored.image.text();
  if (end.crash) {
    parts_.events->add("AppCrash", component, image, crash_fields(*end.crash, app.build_id));
  }
  auto fields = json::Value{}
                    .set("exit_status", number(end.status.code))
                    .set("signal_status", number(end.status.signal));
  if (end.crash) {
    fields.set("signal_code", number(end.crash->code));
  }
  if (end.out_of_memory) {
    fields.set("limit", "memory")
        .set("limit_bytes", app.last_exit->memory->limit_bytes)
        .set("reason", fmt::format("the app needed more than its {} KiB of memory",
                                   parts_.memory.app_bytes / 1024));
  } else if (end.status.signal == SIGALRM) {
    fields.set("watchdog", true);
  }
  parts_.events->add("AppCrash", component, image, std::move(fields));
}

void AppManager::detach(App& app) {
  if (app.timer) {
    parts_.loop->cancel(*app.timer);
    app.timer.reset();
  }
  app.debug.reset();
  app.debugged.reset();
  app.broker.reset();
  app.network.reset();
  if (app.output_pipe) {
    parts_.loop->forget(app.output_pipe.get());
    app.output_pipe.reset();
  }
  if (app.process) {
    parts_.loop->forget(app.process->descriptor());
    app.process.reset();
  }
}

}  // namespace sphere::agent
