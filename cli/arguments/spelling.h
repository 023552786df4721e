// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/commands/command.h"
#include "sphere/core/result.h"

namespace sphere::cli {

// One word of the line that starts with a dash, taken apart.
struct OptionToken {
  std::string name;  // Without dashes: "output", "o".
  bool is_long = false;
  bool has_value = false;  // --name=value, -n=value or -nvalue.
  std::string value;
};

// Takes "--name=value", "--name", "-n", "-n=value" and "-nvalue" apart.
[[nodiscard]] OptionToken read_option(std::string_view token);

// Whether a word of the line is an option: "-" alone is not.
[[nodiscard]] bool is_option(std::string_view token);

// The error for an option that is not known, with near names among those of `command` (may be
// null) and the global options.
[[nodiscard]] tl::unexpected<Error> unknown_option(std::string_view token, std::string_view words,
                                                   const CommandSpec* command);

// The line of one command in the spelling that the parser defines. Multi-letter short options, old
// names and letters become the long name; values stand in `values`, and the line holds their place
// holders: so no value is ever read as something else.
struct Spelled {
  std::vector<std::string> tokens;
  std::vector<std::string> values;
  std::vector<std::string> warnings;
};

[[nodiscard]] std::string place_holder(std::size_t index);
// The value for a place holder; a word that is none is returned as it is.
[[nodiscard]] std::string value_of(const Spelled& spelled, const std::string& word);

// Errors: usage.bad-value for an option whose value is missing and for a flag with a value.
[[nodiscard]] Result<Spelled> spell_out(const CommandSpec& command,
                                        const std::vector<std::string>& rest);

}  // namespace sphere::cli
