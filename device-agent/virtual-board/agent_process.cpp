// SPDX-License-Identifier: MIT
#include "device-agent/virtual-board/agent_process.h"

#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <fcntl.h>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <sys/prctl.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "device-agent/virtual-board/board_link.h"
#include "device-agent/virtual-board/packet_socket.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/file.h"
#include "sphere/core/process.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"

namespace sphere::virtual_board {
namespace {

constexpr int kUnixListener = 4;  // Descriptors of the new sphered (board_link.h).
constexpr int kTcpListener = 5;

tl::unexpected<Error> failed(std::string_view action, const char* thing) {
  return tl::unexpected<Error>{system_error(action, thing, errno)};
}

Command command_for(const AgentPlan& plan) {
  const bool has_tcp = plan.tcp_listener >= 0;
  Command command{.program = plan.program};
  command.arguments = {"--state",       plan.directory.string(),
                       "--runtime",     plan.runtime.string(),
                       "--sdk-runtime", plan.sdk_runtime.string(),
                       "--board-link",  std::to_string(board_link::kLinkDescriptor),
                       "--listen",      has_tcp ? "4,5" : "4"};
  command.pass = {{plan.unix_listener, kUnixListener}};
  if (has_tcp) {
    command.pass.emplace_back(plan.tcp_listener, kTcpListener);
  }
  command.end_with_parent = true;
  // A terminal's Ctrl-C is for sphere-board alone, which then ends sphered in order.
  command.new_session = true;
  return command;
}

void kill_children() {
  constexpr std::size_t kLimit = std::size_t{1} << 20U;
  const auto path = fmt::format("/proc/self/task/{}/children", ::gettid());
  for (const auto& text : split(read_text_file(path, kLimit).value_or(""), ' ')) {
    pid_t pid = 0;
    const std::span<const char> digits{text};
    std::from_chars(digits.data(), std::to_address(digits.end()), pid);
    if (pid > 1) {
      ::kill(pid, SIGKILL);
    }
  }
}

}  // namespace

Result<AgentProcess> start_agent(const AgentPlan& plan) {
  SPHERE_TRY_ASSIGN(auto link, make_packet_pair());
  std::array<int, 2> ends = {};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    return failed("create", "pipe");
  }
  Descriptor output{ends[0]};
  const Descriptor output_end{ends[1]};
  ::fcntl(output.get(), F_SETFL, O_NONBLOCK);
  const Descriptor nothing{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
  if (!nothing) {
    return failed("open", "/dev/null");
  }
  auto command = command_for(plan);
  command.pass.emplace_back(link.second.get(), board_link::kLinkDescriptor);
  command.standard_input = nothing.get();
  command.standard_output = output_end.get();
  command.standard_error = output_end.get();
  SPHERE_TRY_ASSIGN(const auto process, ChildProcess::start(command));
  return AgentProcess{
      .process = process, .link = std::move(link.first), .output = std::move(output)};
}

Result<void> adopt_orphans() {
  if (::prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) {
    return failed("adopt", "orphaned processes");
  }
  return {};
}

bool reap_orphan(pid_t except) {
  siginfo_t info = {};
  if (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0 ||
      info.si_pid == except) {
    return false;
  }
  return ::waitpid(info.si_pid, nullptr, WNOHANG) > 0;
}

void end_all_children() {
  constexpr std::chrono::milliseconds kPause{5};
  constexpr int kTurns = 200;
  for (int turn = 0; turn < kTurns; ++turn) {
    kill_children();
    while (reap_orphan(0)) {
    }
    siginfo_t info = {};
    if (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 && errno == ECHILD) {
      return;
    }
    std::this_thread::sleep_for(kPause);
  }
}

std::string describe(const ExitStatus& status) {
  return status.signal != 0 ? fmt::format("signal {}", status.signal)
                            : fmt::format("exit status {}", status.code);
}

}  // namespace sphere::virtual_board
