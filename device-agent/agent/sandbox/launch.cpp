// SPDX-License-Identifier: MIT
#include "device-agent/agent/sandbox/launch.h"

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <fcntl.h>
#include <linux/sched.h>
#include <memory>
#include <optional>
#include <sched.h>
#include <span>
#include <string>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

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
#include "sphere/image/block_io.h"
#include "sphere/image/package.h"
#include "sphere/image/verify_v2.h"
#include "sphere/json/value.h"

namespace sphere::agent {
namespace {

constexpr std::size_t kPlanBytes = 65536;

json::Value to_json(const StepFailure& failure) {
  return json::Value{}
      .set("layer", failure.layer)
      .set("what", failure.what)
      .set("errno", failure.number);
}

Result<Plan> read_plan() {
  SPHERE_TRY_ASSIGN(const auto text,
                    read_text_file("/proc/self/fd/" + std::to_string(kPlanDescriptor), kPlanBytes));
  SPHERE_TRY_ASSIGN(const auto value, json::parse(text));
  return plan_from_json(value);
}

// The sealed package, mapped for the rest of this process's life.
Result<image::Package> map_package() {
  struct stat status = {};
  if (::fstat(kPackageDescriptor, &status) != 0 || status.st_size <= 0) {
    return fail(Errc::io, "no package");
  }
  const auto size = static_cast<std::size_t>(status.st_size);
  void* mapped = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, kPackageDescriptor, 0);
  if (mapped == MAP_FAILED) {  // NOLINT(performance-no-int-to-ptr): the macro's own cast
    return fail(Errc::io, "cannot map the package");
  }
  // The agent has verified these very bytes: what remains is to find the files in them.
  SPHERE_TRY_ASSIGN(auto package,
                    image::open_package(std::make_shared<image::MemoryBlocks>(
                                            std::span{static_cast<const std::byte*>(mapped), size}),
                                        size));
  if (package.kind == image::PackageKind::package_v2) {
    SPHERE_TRY(image::open_files(package));
  }
  return package;
}

// Who holds the package elsewhere cannot change it after the agent has checked it.
bool is_sealed() {
  constexpr int kSeals = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
  const int seals = ::fcntl(kPackageDescriptor, F_GET_SEALS);
  return seals >= 0 && (seals & kSeals) == kSeals;
}

void keep_descriptors() {
  constexpr int kLast = kFirstGroupDescriptor + static_cast<int>(kMostGroups) - 1;
  for (int number = kStatusDescriptor; number <= kLast; ++number) {
    ::fcntl(number, F_SETFD, FD_CLOEXEC);
  }
  ::close_range(kLast + 1, ~0U, 0);
}

Step make_namespaces(const Plan& plan, const LauncherFaults& faults) {
  constexpr int kAlways = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS;
  const int network = plan.network || faults.skips("L11") ? 0 : CLONE_NEWNET;
  const int messages = faults.skips("L1") ? 0 : CLONE_NEWIPC;
  if (auto made =
          require(::unshare(kAlways | network | messages) == 0, "L1", "make new namespaces");
      !made) {
    return made;
  }
  // A kernel without cgroup namespaces has no cgroup view to hide either.
  [[maybe_unused]] const int cgroup = ::unshare(CLONE_NEWCGROUP);
  return require(::sethostname("sphere", 6) == 0, "L1", "set the host name");
}

// pid 1. Its end is the end of every process in the namespace.
[[noreturn]] void run_init(const Plan& plan, const image::Package& package,
                           const LauncherFaults& faults) {
  const auto refuse_with = [](const StepFailure& failure) {
    send_message(kStatusDescriptor, to_json(failure));
    ::_exit(EXIT_FAILURE);
  };
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::umask(022);  // The app, another user, reads the tree.
  // Before the old root is gone: the app's process limits user namespaces through it.
  const Descriptor sysctl{::open("/proc/sys/user", O_PATH | O_DIRECTORY | O_CLOEXEC)};
  AppStart start{.sysctl = sysctl.get(), .sealed = !faults.skips("L3b") && is_sealed()};
  if (const auto entered = enter_root_tree(plan, package, faults, start.pivoted); !entered) {
    refuse_with(entered.error());
  }
  const pid_t app = fork_app(plan, start, faults);
  if (app == 0) {
    become_app(plan, start, faults);
  }
  if (app < 0) {
    refuse_with({.layer = "L1", .what = "make the app's process", .number = errno});
  }
  // An emulated app's registers are those of the emulator: nothing to see.
  auto watch = plan.emulated || !plan.watch_crashes ? std::nullopt : AppWatch::trace(app);
  ::dup2(kStatusDescriptor, 0);
  ::close_range(1, ~0U, 0);
  if (!drop_bounding_set() || !drop_capabilities() ||
      !load_filter(compile_init_filter(own_abi()))) {
    ::_exit(EXIT_FAILURE);
  }
  send_message(0, watch ? watch->wait() : AppWatch{app}.wait());
  ::_exit(EXIT_SUCCESS);
}

// fork(), but the child is the agent's, so that this process can end.
pid_t fork_for_agent() {
  return static_cast<pid_t>(::syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0));
}

}  // namespace

int run_launcher(const LauncherFaults& faults) {
  keep_descriptors();
  // The app is another user than the agent: what is made for it must be readable whatever mask the
  // agent was started with.
  ::umask(S_IWGRP | S_IWOTH);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const auto plan = read_plan();
  const auto package = map_package();
  if (!plan || !package) {
    const auto& message = plan ? package.error().message() : plan.error().message();
    send_message(kStatusDescriptor, to_json({.layer = "L12", .what = message, .number = 0}));
    return EXIT_FAILURE;
  }
  if (::getppid() != plan->agent) {
    return EXIT_FAILURE;  // The agent ended before the death signal was set.
  }
  if (const auto made = make_namespaces(*plan, faults); !made) {
    send_message(kStatusDescriptor, to_json(made.error()));
    return EXIT_FAILURE;
  }
  const pid_t init = fork_for_agent();
  if (init == 0) {
    run_init(*plan, *package, faults);
  }
  if (init < 0) {
    send_message(kStatusDescriptor,
                 to_json({.layer = "L1", .what = "make a process", .number = errno}));
    return EXIT_FAILURE;
  }
  send_message(kStatusDescriptor, json::Value{}.set("init", static_cast<std::int64_t>(init)));
  return EXIT_SUCCESS;
}

}  // namespace sphere::agent
