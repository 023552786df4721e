// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "cli/commands/command.h"

namespace sphere::cli {

// `sphere --help`: the nouns.
[[nodiscard]] std::string program_help(std::size_t width);
// `sphere <words> --help`: what may follow the words, which name no command by themselves.
[[nodiscard]] std::string words_help(std::string_view words, std::size_t width);
// `sphere <command> --help`.
[[nodiscard]] std::string command_help(const CommandSpec& command, std::size_t width);

// "sphere device sideload deploy --image-package FILE [options]"
[[nodiscard]] std::string usage_of(const CommandSpec& command);
// "--image-package/-p FILE"
[[nodiscard]] std::string option_heading(const OptionSpec& option);
// Help, default and allowed values in one sentence.
[[nodiscard]] std::string option_text(const OptionSpec& option);
// "this PC only" or "device"
[[nodiscard]] std::string_view needs_text(Needs needs);

}  // namespace sphere::cli
