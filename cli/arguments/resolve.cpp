// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstddef>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "cli/arguments/command_line.h"
#include "cli/arguments/global_options.h"
#include "cli/arguments/spelling.h"
#include "cli/commands/command.h"
#include "cli/commands/table.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"

namespace sphere::cli {
namespace {

// The words that may follow `words`: nouns at the top, verbs below.
std::vector<std::string> next_words(std::string_view words) {
  std::set<std::string> found;
  for (const CommandSpec* command : all_commands()) {
    std::string_view path = command->path;
    if (!words.empty()) {
      if (!path.starts_with(words) || path.size() <= words.size() || path[words.size()] != ' ') {
        continue;
      }
      path.remove_prefix(words.size() + 1);
    }
    found.emplace(path.substr(0, path.find(' ')));
  }
  return {found.begin(), found.end()};
}

const CommandSpec* command_at(std::string_view words) {
  const auto commands = all_commands();
  const auto found = std::ranges::find_if(
      commands, [words](const CommandSpec* command) { return command->path == words; });
  return found == commands.end() ? nullptr : *found;
}

tl::unexpected<Error> unknown_word(const std::string& words, const std::string& word,
                                   const std::vector<std::string>& siblings) {
  auto near = nearest(word, siblings);
  const std::string help = words.empty() ? "sphere --help" : fmt::format("sphere {} --help", words);
  const std::string next =
      near.empty() ? help : fmt::format("did you mean {}? See {}", join(near, ", "), help);
  return fail(Errc::invalid_argument,
              words.empty() ? fmt::format("unknown command: {}", escape_control(word))
                            : fmt::format("unknown command: {} {}", words, escape_control(word)),
              {.reason = "usage.unknown-command", .value = word, .next = next});
}

// Moves the option at `index`, and its value if it takes one, to `resolved.rest`.
Result<std::size_t> take_option(const std::vector<std::string>& arguments, std::size_t index,
                                Resolved& resolved) {
  const std::string& token = arguments[index];
  if (token == "--version" && resolved.words.empty()) {
    resolved.version = true;
    return index + 1;
  }
  const OptionToken option = read_option(token);
  const OptionSpec* spec = find_global_option(option.name);
  if (spec == nullptr) {
    return unknown_option(token, resolved.words, nullptr);
  }
  if (spec->name == "help") {
    resolved.help = true;
  }
  resolved.rest.push_back(token);
  if (spec->kind == OptionKind::flag || option.has_value || index + 1 == arguments.size()) {
    return index + 1;
  }
  resolved.rest.push_back(arguments[index + 1]);
  return index + 2;
}

}  // namespace

Result<Resolved> resolve(const std::vector<std::string>& arguments) {
  Resolved resolved;
  std::size_t index = 0;
  while (index < arguments.size() && arguments[index] != "--") {
    const std::string& token = arguments[index];
    if (is_option(token)) {
      SPHERE_TRY_ASSIGN(index, take_option(arguments, index, resolved));
      continue;
    }
    const auto siblings = next_words(resolved.words);
    if (std::ranges::find(siblings, token) == siblings.end()) {
      return unknown_word(resolved.words, token, siblings);
    }
    resolved.words += resolved.words.empty() ? token : " " + token;
    ++index;
    resolved.command = command_at(resolved.words);
    if (resolved.command != nullptr) {
      break;
    }
  }
  resolved.rest.insert(resolved.rest.end(), arguments.begin() + static_cast<std::ptrdiff_t>(index),
                       arguments.end());
  return resolved;
}

std::string output_format_of(const std::vector<std::string>& arguments) {
  const OptionSpec* output = find_global_option("output");
  std::string format;
  for (std::size_t i = 0; i < arguments.size() && arguments[i] != "--"; ++i) {
    const OptionToken option = read_option(arguments[i]);
    if (!is_option(arguments[i]) || find_global_option(option.name) != output) {
      continue;
    }
    const std::string& value =
        !option.has_value && i + 1 < arguments.size() ? arguments[i + 1] : option.value;
    if (std::ranges::find(output->choices, value) != output->choices.end()) {
      format = value;
    }
  }
  return format;
}

}  // namespace sphere::cli
