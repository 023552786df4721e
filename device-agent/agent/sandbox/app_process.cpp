// SPDX-License-Identifier: MIT
#include "device-agent/agent/sandbox/app_process.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <sched.h>
#include <string>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>
#include <vector>

#include "device-agent/agent/sandbox/call_filter.h"
#include "device-agent/agent/sandbox/faults.h"
#include "device-agent/agent/sandbox/landlock.h"
#include "device-agent/agent/sandbox/plan.h"
#include "device-agent/agent/sandbox/privileges.h"
#include "device-agent/agent/sandbox/step.h"
#include "sphere/core/descriptor.h"
#include "sphere/json/value.h"

namespace sphere::agent {
namespace {

struct AppPart {
  const Plan* plan;
  const AppStart* start;
  const LauncherFaults* faults;
  bool user_namespace = false;
  bool groups_dropped = false;
  bool nested_users_refused = false;
  bool mdwe = false;
  bool landlock = false;
  Descriptor program = {};
  FilterProgram filter = {};
};

// Asks the agent for something and waits until it has done it; without an answer the agent is gone.
void ask_agent(const json::Value& message) {
  send_message(kGateDescriptor, message);
  const auto answer = receive_message(kGateDescriptor);
  if (!answer || !answer->boolean_at("go").value_or(false)) {
    ::_exit(EXIT_FAILURE);
  }
}

bool is_directory(int descriptor) {
  struct stat status = {};
  return ::fstat(descriptor, &status) == 0 && S_ISDIR(status.st_mode);
}

// Joins the groups of layer L9 and hides their names. Not before the app's own process: what the
// launcher and the init use is not the app's.
Step join_groups(AppPart& part) {
  if (part.faults->skips("L9")) {
    return {};
  }
  for (std::size_t i = 0; i < part.plan->groups; ++i) {
    const int group = kFirstGroupDescriptor + static_cast<int>(i);
    if (group == part.start->made_in) {
      continue;
    }
    Descriptor list;  // Of a v2 group that this kernel could not make the process in.
    if (is_directory(group)) {
      list.reset(::openat(group, "cgroup.procs", O_WRONLY | O_CLOEXEC));
    }
    if (auto joined =
            require(::write(list ? list.get() : group, "0", 1) == 1, "L9", "join the app's cgroup");
        !joined) {
      return joined;
    }
  }
  // A kernel without cgroup namespaces shows the name; L1 of the report says so.
  [[maybe_unused]] const int hidden = ::unshare(CLONE_NEWCGROUP);
  return {};
}

// Nobody can make a user namespace in the app's.
bool nested_users_refused(int sysctl) {
  const Descriptor limit{::openat(sysctl, "max_user_namespaces", O_RDONLY | O_CLOEXEC)};
  std::array<char, 2> text = {};
  return limit && ::read(limit.get(), text.data(), text.size()) == 2 && text[0] == '0' &&
         text[1] == '\n';
}

// The user namespace that the agent has made for the app (user_namespace.h).
Step enter_user_namespace(AppPart& part) {
  part.groups_dropped = ::setgroups(0, nullptr) == 0;
  if (!part.plan->user_namespace || part.faults->skips("L2")) {
    // As root a plain change of uid gives the same rights on files.
    return require(!part.plan->rootless && part.groups_dropped, "L2", "give up the groups");
  }
  part.user_namespace = ::setns(kUsersDescriptor, CLONE_NEWUSER) == 0;
  if (!part.user_namespace) {
    return require(false, "L2", "enter the app's user namespace");
  }
  part.nested_users_refused = nested_users_refused(part.start->sysctl);
  return {};
}

Step open_program(AppPart& part) {
  const auto path = image_path(*part.plan) + part.plan->entry_point;
  part.program.reset(part.plan->emulated
                         ? ::fcntl(kEmulatorDescriptor, F_DUPFD_CLOEXEC, kEmulatorDescriptor)
                         : ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  return require(static_cast<bool>(part.program), "L12", "open " + path);
}

void reset_signals() {
  for (int signal = 1; signal < NSIG; ++signal) {
    (void)::signal(signal, SIG_DFL);  // Some, as SIGKILL, have no other action and refuse.
  }
  sigset_t none;
  sigemptyset(&none);
  ::pthread_sigmask(SIG_SETMASK, &none, nullptr);
}

// What can be read from here is the machine's no longer after the change of user.
Step open_files(AppPart& part) {
  const auto home = image_path(*part.plan);
  if (auto moved = require(::chdir(home.c_str()) == 0, "L4", "enter " + home); !moved) {
    return moved;
  }
  part.filter = read_filter(0, part.plan->filter_bytes / sizeof(sock_filter));
  if (auto read = require(!part.filter.empty(), "L10", "read the system-call filter"); !read) {
    return read;
  }
  return open_program(part);
}

Step give_up_rights(AppPart& part) {
  const auto& faults = *part.faults;
  if (auto limited = faults.skips("L8") ? Step{} : set_limits(*part.plan); !limited) {
    return limited;
  }
  if (auto bounded = faults.skips("L5") ? Step{} : drop_bounding_set(); !bounded) {
    return bounded;
  }
  if (auto changed = faults.skips("L0") ? Step{} : change_user(part.plan->uid); !changed) {
    return changed;
  }
  if (auto left = leave_key_ring(); !left) {
    return left;
  }
  return drop_capabilities();
}

// L6 and L7. The kernel shows neither to anybody else, so the agent is told.
Step restrict_memory_and_files(AppPart& part) {
  if (part.plan->mdwe && !part.faults->skips("L6")) {
    part.mdwe = refuse_executable_pages();
    if (!part.mdwe) {
      return require(false, "L6", "refuse executable pages");
    }
  }
  if (part.plan->landlock_abi > 0 && !part.faults->skips("L7")) {
    if (auto restricted = restrict_by_landlock(*part.plan, part.program.get()); !restricted) {
      return restricted;
    }
    part.landlock = true;
  }
  return {};
}

Step prepare(AppPart& part) {
  reset_signals();
  ::setsid();
  ::umask(077);
  for (const auto step :
       {join_groups, open_files, enter_user_namespace, give_up_rights, restrict_memory_and_files}) {
    if (auto done = step(part); !done) {
      return done;
    }
  }
  return {};
}

// Leaves 0 to 3, the program as 4 and the gate, 5; the last two close with the exec.
void arrange_descriptors(AppPart& part) {
  const int program = ::fcntl(part.program.get(), F_DUPFD_CLOEXEC, kStatusDescriptor + 16);
  ::dup3(program, kStatusDescriptor, O_CLOEXEC);  // The init keeps the status socket, not the app.
  if (!part.faults->skips("L12")) {
    ::close_range(kPlanDescriptor, ~0U, 0);
  }
}

json::Value ready_message(const AppPart& part) {
  return json::Value{}
      .set("ready", true)
      .set("userNamespace", part.user_namespace)
      .set("groupsDropped", part.groups_dropped)
      .set("nestedUsersRefused", part.nested_users_refused)
      .set("pivoted", part.start->pivoted)
      .set("mdwe", part.mdwe)
      .set("landlock", part.landlock);
}

std::vector<std::string> arguments_of(const Plan& plan) {
  std::vector<std::string> arguments;
  if (plan.emulated) {
    // argv[0] of the app is its path in the package; the emulator takes the file after it.
    arguments = {"qemu-arm"};
    if (plan.debug) {  // It waits at the first instruction until somebody connects.
      arguments.insert(arguments.end(), {"-g", std::string{kEmulatorDebugSocket}});
    }
    arguments.insert(arguments.end(),
                     {"-0", plan.entry_point, image_path(plan) + plan.entry_point});
  } else {
    arguments = {plan.entry_point};
  }
  arguments.insert(arguments.end(), plan.arguments.begin(), plan.arguments.end());
  return arguments;
}

// fork(), but the child begins in the group that the directory `group` is.
pid_t fork_into(int group) {
  clone_args arguments = {};
  arguments.flags = CLONE_INTO_CGROUP;
  arguments.exit_signal = SIGCHLD;
  arguments.cgroup = static_cast<std::uint64_t>(group);
  return static_cast<pid_t>(::syscall(SYS_clone3, &arguments, sizeof arguments));
}

}  // namespace

pid_t fork_app(const Plan& plan, AppStart& start, const LauncherFaults& faults) {
  for (std::size_t i = 0; i < plan.groups && !faults.skips("L9"); ++i) {
    const int group = kFirstGroupDescriptor + static_cast<int>(i);
    if (!is_directory(group)) {
      continue;
    }
    start.made_in = group;
    if (const pid_t app = fork_into(group); app >= 0) {
      return app;
    }
    start.made_in = -1;
  }
  return ::fork();
}

void become_app(const Plan& plan, const AppStart& start, const LauncherFaults& faults) {
  AppPart part{.plan = &plan, .start = &start, .faults = &faults};
  const auto give_up = [](const StepFailure& failure) {
    send_message(kGateDescriptor, json::Value{}
                                      .set("layer", failure.layer)
                                      .set("what", failure.what)
                                      .set("errno", failure.number));
    ::_exit(EXIT_FAILURE);
  };
  if (const auto prepared = prepare(part); !prepared) {
    give_up(prepared.error());
  }
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // A change of user has cleared an earlier one.
  auto arguments = arguments_of(plan);
  std::vector<char*> pointers;
  pointers.reserve(arguments.size() + 1);
  for (auto& argument : arguments) {
    pointers.push_back(argument.data());
  }
  pointers.push_back(nullptr);
  std::array<char*, 1> environment = {nullptr};
  arrange_descriptors(part);
  // The last layer: what follows is the app's as well, sendto, recvfrom and execveat.
  if (const auto loaded = faults.skips("L10") ? Step{} : load_filter(part.filter); !loaded) {
    give_up(loaded.error());
  }
  ask_agent(ready_message(part));
  ::fexecve(kStatusDescriptor, pointers.data(), environment.data());
  give_up({.layer = "L12", .what = "execute " + plan.entry_point, .number = errno});
  ::_exit(EXIT_FAILURE);
}

}  // namespace sphere::agent
