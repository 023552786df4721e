// SPDX-License-Identifier: MIT
#include "device-agent/agent/sandbox/launch.h"

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <fcntl.h>
#include <linux/sched.h>
#include <optional>
#include <sched.h>
#include <string>
#include <string_view>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "device-agent/agent/debug/app_debug.h"
#include "device-agent/agent/debug/traced_app.h"
#include "device-agent/agent/sandbox/app_process.h"
#include "device-agent/agent/sandbox/app_watch.h"
#include "device-agent/agent/sandbox/call_filter.h"
#include "device-agent/agent/sandbox/faults.h"
#include "device-agent/agent/sandbox/plan.h"
#include "device-agent/agent/sandbox/privileges.h"
#include "device-agent/agent/sandbox/root_tree.h"
#include "device-agent/agent/sandbox/step.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/json/value.h"

namespace sphere::agent {
namespace {

constexpr std::size_t kPlanBytes = std::size_t{1} << 20U;
// Of an init that serves gdb.
constexpr int kInitDebugSocket = 1;
constexpr int kInitChanges = 2;

json::Value to_json(const StepFailure& failure) {
  return json::Value{}
      .set("layer", failure.layer)
      .set("what", failure.what)
      .set("errno", failure.number);
}

[[noreturn]] void refuse_with(const StepFailure& failure) {
  send_message(kStatusDescriptor, to_json(failure));
  ::_exit(EXIT_FAILURE);
}

Result<Plan> read_plan() {
  SPHERE_TRY_ASSIGN(const auto text,
                    read_text_file("/proc/self/fd/" + std::to_string(kPlanDescriptor), kPlanBytes));
  SPHERE_TRY_ASSIGN(const auto value, json::parse(text));
  return plan_from_json(value);
}

void keep_descriptors() {
  constexpr int kLast = kDebugDescriptor;
  for (int number = kStatusDescriptor; number <= kLast; ++number) {
    ::fcntl(number, F_SETFD, FD_CLOEXEC);
  }
  ::close_range(kLast + 1, ~0U, 0);
}

// Leaves out what the agent has made already.
void share_namespaces(const Plan& plan, const LauncherFaults& faults) {
  const auto share = [&](std::string_view layer, const std::string& name) {
    if (faults.skips(layer)) {
      const auto path = "/proc/" + std::to_string(plan.agent) + "/ns/" + name;
      const Descriptor of_agent{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
      [[maybe_unused]] const int shared = ::setns(of_agent.get(), 0);
    }
  };
  share("L1", "ipc");
  share("L11", "net");
}

// Gives up what an init does not need. Leaves the status socket as 0 and, with `changes`, the
// debugger's as 1 and `changes` as 2.
void become_init(const FilterProgram& filter, int changes = -1) {
  int last = 0;
  if (changes >= 0) {
    ::dup2(kDebugDescriptor, kInitDebugSocket);
    ::dup2(changes, kInitChanges);
    last = kInitChanges;
  }
  ::dup2(kStatusDescriptor, 0);
  ::close_range(static_cast<unsigned>(last) + 1, ~0U, 0);
  if (!drop_bounding_set() || !drop_capabilities() || !load_filter(filter)) {
    ::_exit(EXIT_FAILURE);
  }
}

[[noreturn]] void serve_debugger(TracedApp& traced) {
  if (traced.await_program()) {
    send_message(0, json::Value{}.set("held", true));
    send_message(0, run_app_debug(traced, kInitDebugSocket, kInitChanges));
  }
  ::_exit(EXIT_SUCCESS);
}

// pid 1. Its end is the end of every process in the namespace.
[[noreturn]] void run_init(const Plan& plan, const LauncherFaults& faults) {
  // Before the old root is gone: the app's process limits user namespaces through it.
  const Descriptor sysctl{::open("/proc/sys/user", O_PATH | O_DIRECTORY | O_CLOEXEC)};
  AppStart start{.sysctl = sysctl.get()};
  const auto filter = read_filter(static_cast<off_t>(plan.filter_bytes), BPF_MAXINSNS);
  if (const auto entered = enter_root_tree(plan, faults, start.pivoted); !entered) {
    refuse_with(entered.error());
  }
  // Before the app exists: its end must not be missed.
  const auto changes = plan.debug ? watch_children() : Descriptor{};
  const pid_t app = fork_app(plan, start, faults);
  if (app == 0) {
    become_app(plan, start, faults);
  }
  if (app < 0) {
    refuse_with({.layer = "L1", .what = "make the app's process", .number = errno});
  }
  const bool stub = plan.debug && !plan.emulated;
  auto traced = stub ? TracedApp::seize(app) : std::nullopt;
  if (stub && !traced) {
    refuse_with({.layer = "L12", .what = "trace the app for the debugger", .number = errno});
  }
  // An emulated app's registers are those of the emulator: nothing to see.
  auto watch = plan.emulated || !plan.watch_crashes ? std::nullopt : AppWatch::trace(app);
  if (const auto detached = detach_old_root(start.pivoted); !detached) {
    refuse_with(detached.error());
  }
  send_message(kStatusDescriptor, json::Value{}.set("detached", true));
  if (traced) {
    become_init(filter, changes.get());
    serve_debugger(*traced);
  }
  become_init(filter);
  send_message(0, watch ? watch->wait() : AppWatch{app}.wait());
  ::_exit(EXIT_SUCCESS);
}

}  // namespace

int run_launcher(const LauncherFaults& faults) {
  keep_descriptors();
  const auto plan = read_plan();
  if (!plan) {
    refuse_with({.layer = "L12", .what = plan.error().message(), .number = 0});
  }
  if (const auto named = require(::sethostname("sphere", 6) == 0, "L1", "set the host name");
      !named) {
    refuse_with(named.error());
  }
  share_namespaces(*plan, faults);
  run_init(*plan, faults);
}

}  // namespace sphere::agent
