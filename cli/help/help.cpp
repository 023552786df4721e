// SPDX-License-Identifier: MIT
#include "cli/help/help.h"

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "cli/arguments/global_options.h"
#include "cli/commands/command.h"
#include "cli/commands/table.h"
#include "sphere/core/text.h"

namespace sphere::cli {
namespace {

constexpr std::size_t kIndent = 2;
constexpr std::size_t kWidestHeading = 34;  // A wider one gets a line of its own.
constexpr std::size_t kNarrowestText = 30;

// `text` in lines of at most `width`, all but the first indented by `indent`.
std::string wrap(std::string_view text, std::size_t indent, std::size_t width) {
  std::string result;
  std::size_t column = indent;
  for (const std::string& word : split(text, ' ')) {
    if (column > indent && column + 1 + word.size() > width) {
      result += "\n" + std::string(indent, ' ');
      column = indent;
    } else if (column > indent) {
      result += " ";
      ++column;
    }
    result += word;
    column += word.size();
  }
  return result;
}

using Line = std::pair<std::string, std::string>;

// Two columns: headings and their texts.
std::string two_columns(const std::vector<Line>& lines, std::size_t width) {
  std::size_t heading_width = 0;
  for (const auto& [heading, text] : lines) {
    heading_width = std::max(heading_width, std::min(heading.size(), kWidestHeading));
  }
  const std::size_t indent = kIndent + heading_width + 2;
  const std::size_t most = std::max(width, indent + kNarrowestText);
  std::string result;
  for (const auto& [heading, text] : lines) {
    result += std::string(kIndent, ' ') + heading;
    if (!text.empty()) {
      result += heading.size() > heading_width
                    ? "\n" + std::string(indent, ' ')
                    : std::string(heading_width + 2 - heading.size(), ' ');
      result += wrap(text, indent, most);
    }
    result += "\n";
  }
  return result;
}

std::string option_lines(std::span<const OptionSpec> options, bool required, std::size_t width) {
  std::vector<Line> lines;
  for (const OptionSpec& option : options) {
    if (option.required == required) {
      lines.emplace_back(option_heading(option), option_text(option));
    }
  }
  return two_columns(lines, width);
}

std::string global_line(const CommandSpec& command, std::size_t width) {
  std::string text = "Global options:";
  for (const OptionSpec& option : shown_global_options()) {
    const bool own = std::ranges::any_of(
        command.options, [&option](const OptionSpec& mine) { return mine.name == option.name; });
    if (!own && (option.name != "device" || command.needs == Needs::device)) {
      text += fmt::format(" --{}", option.name);
    }
  }
  return wrap(text, kIndent, width) + "\n";
}

// Commands of the same noun.
std::string see_also(const CommandSpec& command) {
  const std::string_view noun = command.path.substr(0, command.path.find(' '));
  return noun == command.path ? "sphere --help" : fmt::format("sphere {} --help", noun);
}

}  // namespace

std::string_view needs_text(Needs needs) {
  return needs == Needs::device ? "device" : "nothing but this PC";
}

std::string option_heading(const OptionSpec& option) {
  std::string result = fmt::format("--{}", option.name);
  if (!option.short_name.empty()) {
    result += fmt::format("/-{}", option.short_name);
  }
  if (option.kind != OptionKind::flag) {
    result += fmt::format(" {}{}", option.value_name.empty() ? "VALUE" : option.value_name,
                          option.kind == OptionKind::list ? ".." : "");
  }
  return result;
}

std::string option_text(const OptionSpec& option) {
  std::string result{option.help};
  if (!option.choices.empty()) {
    const std::vector<std::string> choices(option.choices.begin(), option.choices.end());
    result += fmt::format(": {}", join(choices, ", "));
  }
  if (!option.default_text.empty()) {
    result += fmt::format(" (default {})", option.default_text);
  }
  return result;
}

std::string usage_of(const CommandSpec& command) {
  std::string result = fmt::format("sphere {}", command.path);
  for (const PositionalSpec& positional : command.positionals) {
    const auto name = std::string{positional.name} + (positional.repeats ? " ..." : "");
    result += positional.required ? fmt::format(" {}", name) : fmt::format(" [{}]", name);
  }
  bool optional = false;
  for (const OptionSpec& option : command.options) {
    if (option.required) {
      result += fmt::format(" --{} {}", option.name,
                            option.value_name.empty() ? "VALUE" : option.value_name);
    } else {
      optional = true;
    }
  }
  return result + (optional ? " [options]" : "");
}

std::string program_help(std::size_t width) {
  std::vector<Line> lines;
  for (const Noun& noun : nouns()) {
    lines.emplace_back(noun.name, noun.summary);
  }
  return "Sphere: build, sign and run apps for secured devices\n\nUsage: sphere <noun> <verb> "
         "[options]\n\nNouns\n" +
         two_columns(lines, width) + "\n" +
         wrap(
             "sphere <noun> --help lists the verbs of a noun; sphere --version shows the "
             "version.",
             0, width) +
         "\n";
}

std::string words_help(std::string_view words, std::size_t width) {
  std::string result;
  for (const Noun& noun : nouns()) {
    if (noun.name == words) {
      result = fmt::format("{}\n\n", noun.summary);
    }
  }
  std::vector<Line> lines;
  for (const CommandSpec* command : all_commands()) {
    if (command->path.size() > words.size() && command->path.starts_with(words) &&
        command->path[words.size()] == ' ') {
      lines.emplace_back(command->path.substr(words.size() + 1), command->summary);
    }
  }
  return result + fmt::format("Usage: sphere {} <verb> [options]\n\nVerbs\n", words) +
         two_columns(lines, width) +
         fmt::format("\nsphere {} <verb> --help shows the options of a verb.\n", words);
}

std::string command_help(const CommandSpec& command, std::size_t width) {
  std::string result = wrap(command.summary, 0, width) + "\n\n" +
                       wrap("Usage: " + usage_of(command), 4, width) + "\n" +
                       fmt::format("Needs: {}\n", needs_text(command.needs));
  if (!command.positionals.empty()) {
    std::vector<Line> lines;
    for (const PositionalSpec& positional : command.positionals) {
      lines.emplace_back(positional.name, positional.help);
    }
    result += "\nArguments\n" + two_columns(lines, width);
  }
  const auto required = option_lines(command.options, true, width);
  if (!required.empty()) {
    result += "\nRequired options\n" + required;
  }
  const auto optional = option_lines(command.options, false, width);
  if (!optional.empty()) {
    result += "\nOptions\n" + optional;
  }
  result += "\n" + global_line(command, width);
  if (!command.examples.empty()) {
    result += "\nExamples\n";
    for (const std::string_view example : command.examples) {
      result += fmt::format("  {}\n", example);
    }
  }
  return result + fmt::format("\nSee also: {}\n", see_also(command));
}

}  // namespace sphere::cli
