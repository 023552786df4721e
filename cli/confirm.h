// SPDX-License-Identifier: MIT
#pragma once

#include "cli/commands/command.h"
#include "cli/output/terminal_reporter.h"
#include "sphere/core/result.h"

namespace sphere::cli {

// Asks what the command's row says must be confirmed, where somebody can be asked (standard input
// and standard error are terminals); a --dry-run needs no answer. Errors: cancelled for "no",
// usage.confirmation-needed where nobody can be asked and the row needs an answer.
[[nodiscard]] Result<void> confirm(const CommandSpec& command, const Arguments& arguments,
                                   TerminalReporter& reporter);

}  // namespace sphere::cli
