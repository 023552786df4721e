// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <vector>

#include "cli/arguments/global_options.h"
#include "cli/commands/command.h"
#include "sphere/core/result.h"

namespace sphere::cli {

// Which command a line names.
struct Resolved {
  const CommandSpec* command = nullptr;  // Null: the words end before a command ("device app").
  std::string words;                     // The words found: "device app".
  bool help = false;                     // --help or -h among the words before the command.
  bool version = false;                  // --version without a command.
  std::vector<std::string> rest;         // The line without those words, in order.
};

// Finds the command among `arguments` (without the program's name); global options may stand
// anywhere between its words. Errors: usage.unknown-command and usage.unknown-option, with near
// words.
[[nodiscard]] Result<Resolved> resolve(const std::vector<std::string>& arguments);

struct ParsedLine {
  GlobalOptions global;
  Arguments arguments;
  std::vector<std::string> warnings;
};

// Reads the options of `command` and the global options from `resolved.rest`. Errors: all usage.*,
// see cli.md 5; nothing but the line was looked at.
[[nodiscard]] Result<ParsedLine> parse_line(const CommandSpec& command,
                                            const std::vector<std::string>& rest);

// The output format a line asks for, read without understanding the rest of it: for the errors of
// lines that cannot be parsed. "" when there is none.
[[nodiscard]] std::string output_format_of(const std::vector<std::string>& arguments);

}  // namespace sphere::cli
