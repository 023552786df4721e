// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <vector>

namespace sphere::cli {

// Runs the command that `arguments` (without the program's name) name, writes its result and gives
// the exit status. A signal that arrived ends the program by that signal instead.
[[nodiscard]] int run_program(const std::vector<std::string>& arguments);

// The same for a line of the old `azsphere` (cli/azsphere/alias.h). Without --output its results
// are text: a dashed line, headings, a line of '=', rows.
[[nodiscard]] int run_azsphere(const std::vector<std::string>& arguments);

}  // namespace sphere::cli
