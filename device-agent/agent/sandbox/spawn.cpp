// SPDX-License-Identifier: MIT
#include "device-agent/agent/sandbox/spawn.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <fcntl.h>
#include <memory>
#include <sched.h>
#include <string>
#include <string_view>
#include <sys/prctl.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

#include <tl/expected.hpp>

#include "device-agent/agent/sandbox/step.h"

namespace sphere::agent {
namespace {

// Shared with the child, which runs in this process's memory while the calling thread waits.
struct Job {
  const Spawn* wish = nullptr;
  std::array<char*, 2> arguments = {};
  std::array<char*, 1> environment = {};
  int failed = 0;  // errno of the child.
};

// Two rounds, so that a source is not overwritten before it is used: first above all targets.
bool move_descriptors(const Spawn& wish) {
  constexpr int kAbove = 64;
  std::array<int, kMostPassed> held = {};
  for (std::size_t i = 0; i < wish.pass.size(); ++i) {
    held.at(i) = ::fcntl(wish.pass[i].first, F_DUPFD_CLOEXEC, kAbove);
    if (held.at(i) < 0) {
      return false;
    }
  }
  for (std::size_t i = 0; i < wish.pass.size(); ++i) {
    if (::dup2(held.at(i), wish.pass[i].second) < 0) {
      return false;
    }
  }
  return true;
}

// In the child. System calls only: memory and its locks belong to the threads of the agent.
int become(void* argument) {
  auto& job = *static_cast<Job*>(argument);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  sigset_t none;
  sigemptyset(&none);
  // NOLINTNEXTLINE(concurrency-mt-unsafe): a new process has one thread
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  if (move_descriptors(*job.wish)) {
    ::execve(job.arguments[0], job.arguments.data(), job.environment.data());
  }
  job.failed = errno;
  ::_exit(EXIT_FAILURE);
}

}  // namespace

tl::expected<pid_t, StepFailure> spawn(const Spawn& wish) {
  constexpr std::size_t kStackBytes = 65536;
  struct alignas(16) Stack {
    std::array<std::byte, kStackBytes> bytes;
  };
  const auto failure = [](std::string_view layer, std::string what, int number) {
    return tl::unexpected<StepFailure>{
        StepFailure{.layer = layer, .what = std::move(what), .number = number}};
  };
  if (wish.pass.size() > kMostPassed) {
    return failure("L12", "pass the descriptors", EINVAL);
  }
  auto program = wish.program.string();
  Job job{.wish = &wish, .arguments = {program.data(), nullptr}, .environment = {nullptr}};
  const std::unique_ptr<Stack> stack{new Stack};  // Not filled with zeros.
  // A handler of ours must not run in the child, in our memory.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  const auto flags = wish.namespaces | CLONE_VM | CLONE_VFORK | SIGCHLD;
  // NOLINTNEXTLINE(cppcoreguidelines-pro-bounds-pointer-arithmetic): stacks grow down from the end
  auto* const top = stack->bytes.data() + kStackBytes;
  const pid_t child = ::clone(become, top, static_cast<int>(flags), &job);
  const int number = errno;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (child < 0) {
    return failure("L1", "make new namespaces", number);
  }
  if (job.failed != 0) {
    ::waitpid(child, nullptr, 0);
    return failure("L12", "start " + program, job.failed);
  }
  return child;
}

}  // namespace sphere::agent
