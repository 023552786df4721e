// SPDX-License-Identifier: MIT
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "cli/commands/command.h"

namespace sphere::cli {

// One noun of the program: `sphere <name> ...`. A noun with one command of the same path has no
// verbs (`sphere doctor`).
struct Noun {
  std::string_view name;
  std::string_view summary;  // Its line in `sphere --help`.
  std::span<const CommandSpec> (*commands)();
};

// Every noun, in the order of the help. A new noun is one row in table.cpp.
[[nodiscard]] std::span<const Noun> nouns();

// All commands of all nouns.
[[nodiscard]] std::vector<const CommandSpec*> all_commands();

}  // namespace sphere::cli
