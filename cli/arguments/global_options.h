// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "cli/commands/command.h"

namespace sphere::cli {

// Options that every command takes, in any position of the line.
struct GlobalOptions {
  std::optional<std::string> output;
  std::optional<std::string> device;
  std::optional<std::string> progress;
  std::optional<std::chrono::seconds> timeout;
  bool verbose = false;
  bool debug = false;
  bool only_show_errors = false;
  bool no_color = false;
  bool yes = false;
  bool help = false;
};

// Their rows, for parsing, help and completion. The last ones (`kShownGlobalOptions` and up) are
// accepted and not shown.
[[nodiscard]] std::span<const OptionSpec> global_options();
// Those that the help shows.
[[nodiscard]] std::span<const OptionSpec> shown_global_options();

// The row of a global option by its name without dashes, by a hidden alias or by its letter.
[[nodiscard]] const OptionSpec* find_global_option(std::string_view name);

}  // namespace sphere::cli
