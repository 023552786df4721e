// SPDX-License-Identifier: MIT
#include "sphere/core/process.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <optional>
#include <poll.h>
#include <string>
#include <string_view>
#include <sys/prctl.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "sphere/core/descriptor.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"

namespace sphere {
namespace fs = std::filesystem;
namespace {

std::optional<fs::path> find_program(const fs::path& program) {
  if (program.string().find('/') != std::string::npos) {
    return program;
  }
  const char* path = std::getenv("PATH");  // NOLINT(concurrency-mt-unsafe): nobody calls setenv
  for (const auto& folder : split(path != nullptr ? path : "/usr/local/bin:/usr/bin:/bin", ':')) {
    auto candidate = fs::path{folder.empty() ? "." : folder} / program;
    if (::access(candidate.c_str(), X_OK) == 0) {
      return candidate;
    }
  }
  return std::nullopt;
}

std::vector<std::string> environment_of(const Command& command) {
  std::vector<std::string> variables;
  if (!command.clear_environment) {
    // NOLINTNEXTLINE(cppcoreguidelines-pro-bounds-pointer-arithmetic): a list that ends with null
    for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
      const std::string_view text{*entry};
      const auto name = text.substr(0, text.find('='));
      const bool replaced = std::ranges::any_of(
          command.environment, [&](const auto& variable) { return variable.first == name; });
      if (!replaced) {
        variables.emplace_back(text);
      }
    }
  }
  for (const auto& [name, value] : command.environment) {
    variables.push_back(fmt::format("{}={}", name, value));
  }
  return variables;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  result.reserve(texts.size() + 1);
  for (auto& text : texts) {
    result.push_back(text.data());
  }
  result.push_back(nullptr);
  return result;
}

// What the child needs between fork and exec, made before the fork: no allocation after it.
struct ChildPlan {
  const char* program;
  const char* directory;
  char** arguments;
  char** environment;
  std::vector<std::pair<int, int>> moves;  // {source, target}
  bool new_session;
  pid_t end_with;  // The parent whose end is the child's end; 0: no such bond.
};

// Descriptors one child can be given, 0 to 2 included.
constexpr std::size_t kMostMoves = 16;

// Runs in the child; async-signal-safe calls only. Never returns.
[[noreturn]] void become(const ChildPlan& plan, int report) {
  // Two rounds, so that a source is not overwritten before it is used: first above all targets.
  constexpr int kAbove = 64;
  const int report_high = ::fcntl(report, F_DUPFD_CLOEXEC, kAbove);
  const auto give_up = [report = report_high >= 0 ? report_high : report]() {
    const int number = errno;
    [[maybe_unused]] const auto sent = ::write(report, &number, sizeof number);
    ::_exit(127);
  };
  sigset_t none;
  static_cast<void>(sigemptyset(&none));
  // NOLINTNEXTLINE(concurrency-mt-unsafe): a child of fork has one thread
  static_cast<void>(::sigprocmask(SIG_SETMASK, &none, nullptr));
  static_cast<void>(::signal(SIGPIPE, SIG_DFL));
  if (plan.new_session) {
    ::setsid();
  }
  if (plan.end_with != 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != plan.end_with) {  // It ended before the bond was made.
      ::_exit(127);
    }
  }
  std::array<int, kMostMoves> held = {};
  const std::size_t count = std::min(plan.moves.size(), held.size());
  for (std::size_t i = 0; i < count; ++i) {
    held.at(i) = ::fcntl(plan.moves[i].first, F_DUPFD_CLOEXEC, kAbove);
    if (held.at(i) < 0) {
      give_up();
    }
  }
  for (std::size_t i = 0; i < count; ++i) {
    if (::dup2(held.at(i), plan.moves[i].second) < 0) {
      give_up();
    }
  }
  if (*plan.directory != '\0' && ::chdir(plan.directory) != 0) {
    give_up();
  }
  ::execve(plan.program, plan.arguments, plan.environment);
  give_up();
  ::_exit(127);
}

ExitStatus decode(int status) {
  if (WIFSIGNALED(status)) {
    return {.code = 0, .signal = WTERMSIG(status)};
  }
  return {.code = WEXITSTATUS(status), .signal = 0};
}

struct Pipe {
  Descriptor read, write;
};

Result<Pipe> make_pipe() {
  std::array<int, 2> ends = {};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    return tl::unexpected<Error>{system_error("create", "pipe", errno)};
  }
  return Pipe{.read = Descriptor{ends[0]}, .write = Descriptor{ends[1]}};
}

// Reads what is there; closes the pipe at its end.
void drain(Descriptor& pipe, std::string& text, std::size_t limit) {
  std::array<char, 16384> buffer = {};
  const auto count = ::read(pipe.get(), buffer.data(), buffer.size());
  if (count > 0) {
    text.append(buffer.data(), std::min(static_cast<std::size_t>(count), limit - text.size()));
  } else if (count == 0 || errno != EINTR) {
    pipe.reset();
  }
}

// Ends a child whose time is over.
tl::unexpected<Error> kill_late(ChildProcess& child, const Command& command,
                                std::chrono::milliseconds time_limit) {
  child.kill(SIGKILL);
  [[maybe_unused]] const auto ended = child.wait();
  return fail(
      Errc::timeout,
      fmt::format("{} did not end within {} ms", command.program.string(), time_limit.count()),
      {.value = command.program.string()});
}

}  // namespace

Result<ChildProcess> ChildProcess::start(const Command& command) {
  const auto program = find_program(command.program);
  if (!program) {
    return fail(Errc::not_found, fmt::format("program {} not found", command.program.string()),
                {.reason = "local.tool-missing", .value = command.program.string()});
  }
  std::vector<std::string> arguments = {command.program.string()};
  arguments.insert(arguments.end(), command.arguments.begin(), command.arguments.end());
  auto environment = environment_of(command);
  auto argument_pointers = pointers(arguments);
  auto environment_pointers = pointers(environment);
  const auto program_text = program->string();
  const auto directory_text = command.directory.string();
  ChildPlan plan{.program = program_text.c_str(),
                 .directory = directory_text.c_str(),
                 .arguments = argument_pointers.data(),
                 .environment = environment_pointers.data(),
                 .moves = command.pass,
                 .new_session = command.new_session,
                 .end_with = command.end_with_parent ? ::getpid() : 0};
  const std::array<int, 3> standard = {command.standard_input, command.standard_output,
                                       command.standard_error};
  for (int target = 0; target < 3; ++target) {
    if (standard.at(static_cast<std::size_t>(target)) >= 0) {
      plan.moves.emplace_back(standard.at(static_cast<std::size_t>(target)), target);
    }
  }

  if (plan.moves.size() > kMostMoves) {
    return fail(Errc::invalid_argument,
                fmt::format("{} descriptors for {}, more than {}", plan.moves.size(),
                            command.program.string(), kMostMoves));
  }

  SPHERE_TRY_ASSIGN(auto report, make_pipe());
  const pid_t pid = ::fork();
  if (pid < 0) {
    return tl::unexpected<Error>{system_error("start", *program, errno)};
  }
  if (pid == 0) {
    become(plan, report.write.get());
  }
  report.write.reset();
  int number = 0;
  ssize_t count = ::read(report.read.get(), &number, sizeof number);
  while (count < 0 && errno == EINTR) {
    count = ::read(report.read.get(), &number, sizeof number);
  }
  if (count == sizeof number) {
    ::waitpid(pid, nullptr, 0);
    return tl::unexpected<Error>{system_error("start", *program, number)};
  }
  return ChildProcess{pid};
}

Result<ExitStatus> ChildProcess::wait() {
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0) {
    if (errno != EINTR) {
      return tl::unexpected<Error>{system_error("wait for", std::to_string(pid_), errno)};
    }
  }
  pid_ = -1;
  return decode(status);
}

std::optional<ExitStatus> ChildProcess::poll() {
  int status = 0;
  if (pid_ <= 0 || ::waitpid(pid_, &status, WNOHANG) <= 0) {
    return std::nullopt;
  }
  pid_ = -1;
  return decode(status);
}

void ChildProcess::kill(int signal) const {
  if (pid_ > 0) {
    ::kill(pid_, signal);
  }
}

Result<Captured> run_captured(Command command, std::chrono::milliseconds time_limit,
                              std::size_t limit) {
  SPHERE_TRY_ASSIGN(auto output, make_pipe());
  SPHERE_TRY_ASSIGN(auto error, make_pipe());
  command.standard_output = output.write.get();
  command.standard_error = error.write.get();
  SPHERE_TRY_ASSIGN(auto child, ChildProcess::start(command));
  output.write.reset();
  error.write.reset();

  Captured captured;
  const auto end = std::chrono::steady_clock::now() + time_limit;
  while (output.read || error.read) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        end - std::chrono::steady_clock::now());
    if (left.count() <= 0) {
      return kill_late(child, command, time_limit);
    }
    std::array<pollfd, 2> polled = {{{.fd = output.read.get(), .events = POLLIN, .revents = 0},
                                     {.fd = error.read.get(), .events = POLLIN, .revents = 0}}};
    if (::poll(polled.data(), polled.size(), static_cast<int>(std::min<long>(left.count(), 1000))) <
        0) {
      continue;
    }
    if (polled[0].revents != 0) {
      drain(output.read, captured.output, limit);
    }
    if (polled[1].revents != 0) {
      drain(error.read, captured.error, limit);
    }
  }
  while (std::chrono::steady_clock::now() < end) {
    if (const auto status = child.poll()) {
      captured.status = *status;
      return captured;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds{1});
  }
  return kill_late(child, command, time_limit);
}

fs::path own_program() {
  std::error_code ignored;
  return fs::read_symlink("/proc/self/exe", ignored);
}

}  // namespace sphere
