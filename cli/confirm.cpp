// SPDX-License-Identifier: MIT
#include "cli/confirm.h"

#include <cstddef>
#include <string>
#include <string_view>
#include <unistd.h>

#include <fmt/format.h>

#include "cli/commands/command.h"
#include "cli/output/terminal.h"
#include "cli/output/terminal_reporter.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"

namespace sphere::cli {
namespace {

std::string question_of(const CommandSpec& command, const Arguments& arguments) {
  constexpr std::string_view kPlace = "{0}";
  std::string text{command.confirm};
  if (const auto at = text.find(kPlace); at != std::string::npos) {
    text.replace(at, kPlace.size(), escape_control(arguments.positional(0)));
  }
  return text;
}

// A line of standard input; "" at its end and when a signal arrives.
std::string read_answer() {
  constexpr std::size_t kLongest = 256;
  std::string answer;
  char character = 0;
  while (answer.size() < kLongest && ::read(STDIN_FILENO, &character, 1) == 1 &&
         character != '\n') {
    answer.push_back(character);
  }
  return to_lower(trim(answer));
}

}  // namespace

Result<void> confirm(const CommandSpec& command, const Arguments& arguments,
                     TerminalReporter& reporter) {
  if (command.confirm.empty() || arguments.has("dry-run")) {
    return {};
  }
  const std::string question = question_of(command, arguments);
  if (!is_terminal(STDIN_FILENO) || !is_terminal(STDERR_FILENO)) {
    if (!command.confirm_without_terminal) {
      return {};
    }
    return fail(
        Errc::invalid_argument, fmt::format("not confirmed: {}", question),
        {.reason = "usage.confirmation-needed", .next = "give --yes where nobody can be asked"});
  }
  reporter.text(fmt::format("{} [y/N] ", question));
  const std::string answer = read_answer();
  if (answer != "y" && answer != "yes") {
    return fail(Errc::cancelled, "not confirmed, nothing was changed",
                {.reason = "usage.confirmation-needed"});
  }
  return {};
}

}  // namespace sphere::cli
