// SPDX-License-Identifier: MIT
#include "device-agent/agent/sandbox/user_namespace.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <fcntl.h>
#include <sched.h>
#include <span>
#include <string>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "device-agent/agent/sandbox/plan.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"

namespace sphere::agent {
namespace {

enum class Word : char { made = 'm', mapped = 'g', closed = 'c', failed = 'f' };

bool say(int socket, Word word) {
  return ::send(socket, &word, sizeof word, MSG_NOSIGNAL) == sizeof word;
}

bool hears(int socket, Word word) {
  Word got = Word::failed;
  ssize_t count = 0;
  do {
    count = ::recv(socket, &got, sizeof got, 0);
  } while (count < 0 && errno == EINTR);
  return count == sizeof got && got == word;
}

bool refuse_nested() {
  const int limit = ::open("/proc/sys/user/max_user_namespaces", O_WRONLY | O_CLOEXEC);
  return limit >= 0 && ::write(limit, "0", 1) == 1;
}

// The first process of the namespace; it stays until it is killed. System calls only: memory and
// its locks belong to the threads of the agent.
[[noreturn]] void be_first(int socket) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::unshare(CLONE_NEWUSER) == 0 && say(socket, Word::made) && hears(socket, Word::mapped) &&
      say(socket, refuse_nested() ? Word::closed : Word::failed)) {
    static_cast<void>(hears(socket, Word::closed));  // Waits for the end.
  }
  ::_exit(EXIT_FAILURE);
}

Result<void> write_map(pid_t pid, const Plan& plan) {
  const auto line = fmt::format("{} {} 1\n", plan.uid, plan.rootless ? 0 : plan.uid);
  for (const auto& [name, text] : {std::pair{"setgroups", std::string{"deny"}},
                                   std::pair{"gid_map", line}, std::pair{"uid_map", line}}) {
    const auto path = fmt::format("/proc/{}/{}", pid, name);
    const Descriptor file{::open(path.c_str(), O_WRONLY | O_CLOEXEC)};
    if (!file) {
      return tl::unexpected<Error>{system_error("open", path, errno)};
    }
    SPHERE_TRY(write_all(file.get(), std::as_bytes(std::span{text}), path));
  }
  return {};
}

Result<Descriptor> set_up(pid_t first, int socket, const Plan& plan) {
  if (!hears(socket, Word::made)) {
    return fail(Errc::permission, "no user namespace");
  }
  SPHERE_TRY(write_map(first, plan));
  // In a board without root the limit belongs to somebody else: the report says so.
  if (!say(socket, Word::mapped) || (!hears(socket, Word::closed) && !plan.rootless)) {
    return fail(Errc::permission, "further user namespaces cannot be refused");
  }
  const auto path = fmt::format("/proc/{}/ns/user", first);
  Descriptor space{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (!space) {
    return tl::unexpected<Error>{system_error("open", path, errno)};
  }
  return space;
}

}  // namespace

Result<Descriptor> make_user_namespace(const Plan& plan) {
  std::array<int, 2> ends = {};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return tl::unexpected<Error>{system_error("create", "socket pair", errno)};
  }
  const Descriptor ours{ends[0]};
  Descriptor theirs{ends[1]};
  const pid_t first = ::fork();
  if (first == 0) {
    be_first(theirs.get());
  }
  theirs.reset();
  if (first < 0) {
    return tl::unexpected<Error>{system_error("create", "process", errno)};
  }
  auto space = set_up(first, ours.get(), plan);
  ::kill(first, SIGKILL);
  ::waitpid(first, nullptr, 0);
  return space;
}

}  // namespace sphere::agent
