// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string_view>

#include "sphere/core/result.h"

namespace sphere::cli {

// Opens /dev/null in place of missing standard descriptors, so that no file of ours takes their
// number. Writing to a missing standard output still fails.
void keep_standard_descriptors();

[[nodiscard]] bool is_terminal(int descriptor);
// Columns: COLUMNS, else what the terminal says, else 80.
[[nodiscard]] std::size_t terminal_width(int descriptor);

enum class ColorChoice : unsigned char { automatic, always, never };

// Whether to colour what goes to `descriptor` (cli.md 6.4).
[[nodiscard]] bool use_color(int descriptor, ColorChoice choice);

// Writes to standard output. A closed pipe ends the program by SIGPIPE, without a word. Errors:
// no_space, io.
[[nodiscard]] Result<void> write_standard_output(std::string_view text);

}  // namespace sphere::cli
