// SPDX-License-Identifier: MIT
#include "device-agent/agent/sandbox/app_process.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <string>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include "device-agent/agent/sandbox/plan.h"
#include "device-agent/agent/sandbox/privileges.h"
#include "device-agent/agent/sandbox/step.h"
#include "sphere/core/descriptor.h"
#include "sphere/json/value.h"

namespace sphere::agent {
namespace {

struct AppPart {
  const Plan* plan;
  int sysctl;
  bool user_namespace = false;
  bool groups_dropped = false;
  bool nested_users_refused = false;
  Descriptor program = {};
};

// Asks the agent for something and waits until it has done it; without an answer the agent is gone.
void ask_agent(const json::Value& message) {
  send_message(kGateDescriptor, message);
  const auto answer = receive_message(kGateDescriptor);
  if (!answer || !answer->boolean_at("go").value_or(false)) {
    ::_exit(EXIT_FAILURE);
  }
}

// A user namespace in which only the app's own uid exists. Its maps can only be written from
// outside. No further ones can be made inside.
Step enter_user_namespace(AppPart& part) {
  part.groups_dropped = ::setgroups(0, nullptr) == 0;
  part.user_namespace = ::unshare(CLONE_NEWUSER) == 0;
  if (!part.user_namespace) {
    // As root a plain change of uid gives the same rights on files; EPERM is what a chroot gives.
    return require(!part.plan->rootless && part.groups_dropped, "L2",
                   "make the app's user namespace");
  }
  ask_agent(json::Value{}.set("map", true));
  const Descriptor limit{::openat(part.sysctl, "max_user_namespaces", O_WRONLY | O_CLOEXEC)};
  part.nested_users_refused = limit && ::write(limit.get(), "0", 1) == 1;
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

Step prepare(AppPart& part) {
  reset_signals();
  ::setsid();
  ::umask(077);
  const auto home = image_path(*part.plan);
  if (auto moved = require(::chdir(home.c_str()) == 0, "L4", "enter " + home); !moved) {
    return moved;
  }
  if (auto opened = open_program(part); !opened) {
    return opened;
  }
  if (auto entered = enter_user_namespace(part); !entered) {
    return entered;
  }
  if (auto limited = set_limits(*part.plan); !limited) {
    return limited;
  }
  if (auto bounded = drop_bounding_set(); !bounded) {
    return bounded;
  }
  if (auto changed = change_user(part.plan->uid); !changed) {
    return changed;
  }
  return drop_capabilities();
}

std::vector<std::string> arguments_of(const Plan& plan) {
  std::vector<std::string> arguments;
  if (plan.emulated) {
    // argv[0] of the app is its path in the package; the emulator takes the file after it.
    arguments = {"qemu-arm", "-0", plan.entry_point, image_path(plan) + plan.entry_point};
  } else {
    arguments = {plan.entry_point};
  }
  arguments.insert(arguments.end(), plan.arguments.begin(), plan.arguments.end());
  return arguments;
}

}  // namespace

void become_app(const Plan& plan, int sysctl, bool pivoted) {
  AppPart part{.plan = &plan, .sysctl = sysctl};
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
  const int program = ::fcntl(part.program.get(), F_DUPFD_CLOEXEC, kStatusDescriptor + 16);
  ::dup3(program, kStatusDescriptor, O_CLOEXEC);  // The init keeps the status socket, not the app.
  ::close_range(kPlanDescriptor, ~0U, 0);
  ask_agent(json::Value{}
                .set("ready", true)
                .set("userNamespace", part.user_namespace)
                .set("groupsDropped", part.groups_dropped)
                .set("nestedUsersRefused", part.nested_users_refused)
                .set("pivoted", pivoted));
  std::array<char*, 1> environment = {nullptr};
  ::fexecve(kStatusDescriptor, pointers.data(), environment.data());
  give_up({.layer = "L12", .what = "execute " + plan.entry_point, .number = errno});
  ::_exit(EXIT_FAILURE);
}

}  // namespace sphere::agent
