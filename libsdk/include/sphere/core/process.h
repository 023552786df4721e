// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <sys/types.h>
#include <utility>
#include <vector>

#include "sphere/core/result.h"

namespace sphere {

struct Command {
  std::filesystem::path program;            // Searched on PATH unless it holds a slash.
  std::vector<std::string> arguments = {};  // Without argv[0].
  // Variables set beside (or, with clear_environment, instead of) the caller's.
  std::vector<std::pair<std::string, std::string>> environment = {};
  bool clear_environment = false;
  std::filesystem::path directory = {};  // Empty: the caller's.
  // Descriptors for 0, 1, 2 of the child; -1 keeps the caller's.
  int standard_input = -1;
  int standard_output = -1;
  int standard_error = -1;
  bool new_session = false;  // setsid(): detached from the terminal and its signals.
  // SIGKILL for the child when the thread that started it ends, however it ends.
  bool end_with_parent = false;
  // Descriptors the child gets at these numbers: {caller's, child's}, at most 13. All others are
  // closed.
  std::vector<std::pair<int, int>> pass = {};
};

// How a child ended.
struct ExitStatus {
  int code = 0;    // Exit code; 0 when a signal ended it.
  int signal = 0;  // 0 when it exited.
  [[nodiscard]] bool success() const noexcept { return code == 0 && signal == 0; }
};

// A running child. The destructor does not kill it; without wait() it stays a zombie until we exit.
class ChildProcess {
 public:
  // Errors: not_found when the program is missing, permission, io.
  [[nodiscard]] static Result<ChildProcess> start(const Command& command);
  [[nodiscard]] pid_t pid() const noexcept { return pid_; }
  [[nodiscard]] Result<ExitStatus> wait();         // Blocks. Once only.
  [[nodiscard]] std::optional<ExitStatus> poll();  // Nothing while it runs.
  void kill(int signal) const;                     // No effect once waited for.

 private:
  explicit ChildProcess(pid_t pid) : pid_{pid} {}
  pid_t pid_;
};

struct Captured {
  ExitStatus status;
  std::string output;
  std::string error;
};

// Runs to the end with standard output and error collected, at most `limit` bytes of each (more is
// read and dropped). Errors: as start(); timeout after which the child was killed.
[[nodiscard]] Result<Captured> run_captured(Command command, std::chrono::milliseconds time_limit,
                                            std::size_t limit = std::size_t{1} << 20U);

// Path of the running program.
[[nodiscard]] std::filesystem::path own_program();

}  // namespace sphere
