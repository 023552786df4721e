// SPDX-License-Identifier: MIT
#include "libsdk/src/device/board_process.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <fcntl.h>
#include <filesystem>
#include <poll.h>
#include <string>
#include <string_view>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "sphere/core/descriptor.h"
#include "sphere/core/file.h"
#include "sphere/core/process.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/device/virtual_board.h"

namespace sphere::device {

namespace fs = std::filesystem;
using SteadyClock = std::chrono::steady_clock;

namespace {

constexpr int kReadyDescriptor = 3;
constexpr std::size_t kReadyLimit = 4096;
constexpr std::chrono::milliseconds kPoll{50};
constexpr std::chrono::seconds kKillLimit{5};  // For the kernel to end a killed process.

pid_t read_pid(const fs::path& lock) {
  const auto text = read_text_file(lock, 64);
  pid_t pid = 0;
  if (text) {
    const std::string_view digits = trim(*text);
    std::from_chars(digits.data(), digits.data() + digits.size(), pid);
  }
  return pid > 0 ? pid : 0;
}

// Whether somebody else holds the lock. Taking it, even for a moment, could make a board that just
// starts believe that another one runs: so this is asked only when the process in it lives.
bool is_held(const fs::path& lock) {
  const Descriptor file{::open(lock.c_str(), O_RDONLY | O_CLOEXEC)};
  return file && ::flock(file.get(), LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

// The line that sphere-board writes when it is ready or has failed; "" when it ended without.
Result<std::string> read_ready_line(int descriptor, SteadyClock::time_point until,
                                    const Cancelled& cancelled) {
  std::string line;
  while (line.find('\n') == std::string::npos && line.size() < kReadyLimit) {
    if (cancelled && cancelled()) {
      return fail(Errc::cancelled, "the start of the board was interrupted");
    }
    if (SteadyClock::now() >= until) {
      return fail(Errc::timeout, "the board is not ready in time", {.reason = "device.timeout"});
    }
    pollfd wait{.fd = descriptor, .events = POLLIN, .revents = 0};
    if (::poll(&wait, 1, static_cast<int>(kPoll.count())) <= 0) {
      continue;
    }
    std::array<char, 512> piece = {};
    const ssize_t count = ::read(descriptor, piece.data(), piece.size());
    if (count <= 0) {
      break;
    }
    line.append(piece.data(), static_cast<std::size_t>(count));
  }
  return std::string{trim(line)};
}

// What a line other than "ready" means.
Error start_error(std::string_view line, const fs::path& directory) {
  constexpr std::string_view kMark = "error: ";
  const std::string tail = log_tail(directory, 5);
  if (line.starts_with(kMark)) {
    const std::string text = escape_control(line.substr(kMark.size()));
    return {Errc::unavailable,
            "the board cannot start: " + text,
            {.reason = "link.no-answer",
             .value = (directory / "board.log").string(),
             .next = "read the board's log: " + (directory / "board.log").string()}};
  }
  return {Errc::unavailable,
          "sphere-board ended before the board was ready" + (tail.empty() ? "" : ": " + tail),
          {.reason = "link.no-answer",
           .value = (directory / "board.log").string(),
           .next = "read the board's log: " + (directory / "board.log").string()}};
}

void end_child(ChildProcess& child) {
  child.kill(SIGTERM);
  const auto until = SteadyClock::now() + kKillLimit;
  while (!child.poll()) {
    if (SteadyClock::now() > until) {
      child.kill(SIGKILL);
      (void)child.wait();
      return;
    }
    std::this_thread::sleep_for(kPoll);
  }
}

Result<ChildProcess> run_board(const BoardLaunch& launch, int ready_descriptor) {
  const auto log = launch.directory / "board.log";
  const Descriptor output{
      ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, S_IRUSR | S_IWUSR)};
  const Descriptor nothing{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
  if (!output || !nothing) {
    return tl::make_unexpected(system_error("open", log, errno));
  }
  std::vector<std::string> arguments{"--directory", launch.directory.string(), "--runtime",
                                     launch.runtime.string()};
  if (!launch.sdk.empty()) {
    arguments.insert(arguments.end(), {"--sdk", launch.sdk.string()});
  }
  arguments.insert(arguments.end(), {"--ready-fd", std::to_string(kReadyDescriptor)});
  auto child = ChildProcess::start({.program = launch.program,
                                    .arguments = std::move(arguments),
                                    .standard_input = nothing.get(),
                                    .standard_output = output.get(),
                                    .standard_error = output.get(),
                                    .new_session = true,
                                    .pass = {{ready_descriptor, kReadyDescriptor}}});
  if (!child && child.error().code() == Errc::not_found) {
    return fail(Errc::not_found, "the program sphere-board is not installed",
                {.reason = "local.tool-missing",
                 .value = launch.program.string(),
                 .next = "install the package sphere again, as a whole"});
  }
  return child;
}

// A descriptor of the process that holds the lock, so that no other process can get the signal.
Descriptor open_holder(const fs::path& directory, pid_t& pid) {
  pid = running_pid(directory);
  Descriptor process{pid == 0 ? -1 : static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))};
  // The id may have passed on meanwhile: only if it still holds the lock is it the right one.
  return process && running_pid(directory) == pid ? std::move(process) : Descriptor{};
}

bool wait_until_free(const fs::path& directory, pid_t pid, std::chrono::milliseconds limit) {
  const auto until = SteadyClock::now() + limit;
  while (running_pid(directory) == pid) {
    if (SteadyClock::now() > until) {
      return false;
    }
    std::this_thread::sleep_for(kPoll);
  }
  return true;
}

}  // namespace

pid_t running_pid(const fs::path& directory) {
  const auto lock = directory / "lock";
  const pid_t pid = read_pid(lock);
  const bool lives = pid != 0 && (::kill(pid, 0) == 0 || errno == EPERM);
  return lives && is_held(lock) ? pid : 0;
}

bool accepts_connections(const fs::path& socket) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (socket.native().size() >= sizeof(address.sun_path)) {
    return false;
  }
  socket.native().copy(static_cast<char*>(address.sun_path), sizeof(address.sun_path) - 1);
  const Descriptor probe{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  const void* const generic = &address;
  return probe && (::connect(probe.get(), static_cast<const sockaddr*>(generic),
                             sizeof(address)) == 0 ||
                   errno == EAGAIN);  // Its queue is full.
}

Result<pid_t> launch_board(const BoardLaunch& launch, SteadyClock::time_point until,
                           const Cancelled& cancelled) {
  std::array<int, 2> ends = {};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    return tl::make_unexpected(system_error("make a pipe for", launch.program, errno));
  }
  const Descriptor ours{ends[0]};
  Descriptor theirs{ends[1]};
  SPHERE_TRY_ASSIGN(auto child, run_board(launch, theirs.get()));
  theirs.reset();
  auto line = read_ready_line(ours.get(), until, cancelled);
  if (line && *line == "ready") {
    return child.pid();
  }
  end_child(child);
  if (!line) {
    return tl::make_unexpected(std::move(line).error());
  }
  return tl::make_unexpected(start_error(*line, launch.directory));
}

Result<void> end_board(const fs::path& directory, std::chrono::milliseconds patience) {
  pid_t pid = 0;
  const Descriptor process = open_holder(directory, pid);
  if (!process) {
    return {};
  }
  ::syscall(SYS_pidfd_send_signal, process.get(), SIGTERM, nullptr, 0);
  if (wait_until_free(directory, pid, patience)) {
    return {};
  }
  ::syscall(SYS_pidfd_send_signal, process.get(), SIGKILL, nullptr, 0);
  if (wait_until_free(directory, pid, kKillLimit)) {
    return {};
  }
  return fail(Errc::timeout, fmt::format("process {} does not end", pid),
              {.reason = "device.timeout",
               .value = std::to_string(pid),
               .next = fmt::format("look at it: ps -o stat,wchan {}", pid)});
}

std::string log_tail(const fs::path& directory, std::size_t count) {
  constexpr std::size_t kLogLimit = std::size_t{16} * 1024 * 1024;
  const auto text = read_text_file(directory / "board.log", kLogLimit);
  if (!text) {
    return "";
  }
  const std::vector<std::string> lines = split(trim(*text), '\n');
  const std::size_t first = lines.size() - std::min(count, lines.size());
  std::vector<std::string> last;
  for (std::size_t i = first; i < lines.size(); ++i) {
    last.push_back(escape_control(lines[i]));
  }
  return join(last, " | ");
}

}  // namespace sphere::device
