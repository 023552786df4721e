// SPDX-License-Identifier: MIT
#include "cli/help/complete.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <fmt/format.h>

#include "cli/arguments/command_line.h"
#include "cli/arguments/global_options.h"
#include "cli/arguments/spelling.h"
#include "cli/commands/command.h"
#include "cli/commands/table.h"

namespace sphere::cli {
namespace {

constexpr std::string_view kFiles = ":files\n";

// Value names of options and arguments whose values are names of files.
constexpr std::array<std::string_view, 4> kFileNames = {"FILE", "DIR", "PATH", "URI"};

using Candidates = std::map<std::string, std::string, std::less<>>;

std::string to_lines(const Candidates& candidates, std::string_view begin) {
  std::string result;
  for (const auto& [word, help] : candidates) {
    if (word.starts_with(begin)) {
      result += help.empty() ? word + "\n" : fmt::format("{}\t{}\n", word, help);
    }
  }
  return result;
}

bool is_file_name(std::string_view value_name) {
  return std::ranges::any_of(
      kFileNames, [value_name](std::string_view name) { return value_name.starts_with(name); });
}

std::string board_names(const std::filesystem::path& boards, std::string_view begin,
                        std::string_view prefix) {
  Candidates names;
  std::error_code error;
  for (std::filesystem::directory_iterator entry{boards, error}, end; !error && entry != end;
       entry.increment(error)) {
    const auto name = entry->path().filename().string();
    if (!name.starts_with('.')) {
      names.emplace(fmt::format("{}{}", prefix, name), "");
    }
  }
  return to_lines(names, begin);
}

// The nouns or verbs that may follow `words`.
std::string next_words(std::string_view words, std::string_view begin) {
  Candidates candidates;
  if (words.empty()) {
    for (const Noun& noun : nouns()) {
      candidates.emplace(noun.name, noun.summary);
    }
    return to_lines(candidates, begin);
  }
  for (const CommandSpec* command : all_commands()) {
    const std::string_view path = command->path;
    if (path.size() > words.size() && path.starts_with(words) && path[words.size()] == ' ') {
      const auto rest = path.substr(words.size() + 1);
      const auto word = rest.substr(0, rest.find(' '));
      candidates.emplace(word, word == rest ? command->summary : std::string_view{});
    }
  }
  return to_lines(candidates, begin);
}

std::string option_names(const CommandSpec* command, std::string_view begin) {
  Candidates candidates;
  const auto add = [&candidates](std::span<const OptionSpec> options) {
    for (const OptionSpec& option : options) {
      candidates.emplace(fmt::format("--{}", option.name), option.help);
    }
  };
  if (command != nullptr) {
    add(command->options);
  }
  add(shown_global_options());
  if (command != nullptr && command->needs == Needs::local) {
    candidates.erase("--device");
  }
  return to_lines(candidates, begin);
}

// The option whose value the last word is: the word before names it.
const OptionSpec* option_before(const CommandSpec* command, const std::string& word) {
  if (!is_option(word) || word.find('=') != std::string::npos) {
    return nullptr;
  }
  const auto name = read_option(word).is_long ? word.substr(2) : word.substr(1);
  for (const OptionSpec& option :
       command == nullptr ? std::span<const OptionSpec>{} : command->options) {
    if (option.name == name || option.short_name == name) {
      return option.kind == OptionKind::flag ? nullptr : &option;
    }
  }
  const OptionSpec* global = find_global_option(name);
  return global == nullptr || global->kind == OptionKind::flag ? nullptr : global;
}

std::string option_values(const OptionSpec& option, std::string_view begin,
                          const std::filesystem::path& boards) {
  if (option.name == "device") {
    return board_names(boards, begin, "vb-");
  }
  if (is_file_name(option.value_name)) {
    return std::string{kFiles};
  }
  Candidates candidates;
  for (const std::string_view choice : option.choices) {
    candidates.emplace(choice, "");
  }
  return to_lines(candidates, begin);
}

std::string positional_values(const CommandSpec& command, std::string_view begin,
                              const std::filesystem::path& boards) {
  if (command.path == "completion") {
    return to_lines({{"bash", ""}, {"fish", ""}, {"zsh", ""}}, begin);
  }
  if (command.positionals.empty()) {
    return {};
  }
  const std::string_view name = command.positionals.front().name;
  if (is_file_name(name)) {
    return std::string{kFiles};
  }
  return command.path.starts_with("board ") ? board_names(boards, begin, "") : std::string{};
}

}  // namespace

std::string complete(const std::vector<std::string>& words, const std::filesystem::path& boards) {
  const std::string last = words.empty() ? std::string{} : words.back();
  const std::vector<std::string> before(words.begin(), words.end() - (words.empty() ? 0 : 1));
  const auto resolved = resolve(before);
  const CommandSpec* command = resolved ? resolved->command : nullptr;
  if (!before.empty()) {
    if (const OptionSpec* option = option_before(command, before.back())) {
      return option_values(*option, last, boards);
    }
  }
  if (!resolved) {
    return {};  // A wrong word: nothing can follow.
  }
  if (last.starts_with('-')) {
    return option_names(command, last);
  }
  return command != nullptr ? positional_values(*command, last, boards)
                            : next_words(resolved->words, last);
}

}  // namespace sphere::cli
