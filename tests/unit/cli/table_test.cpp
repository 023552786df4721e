// SPDX-License-Identifier: MIT
// What must hold for every row of the command table.
#include "cli/commands/table.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "cli/arguments/command_line.h"
#include "cli/arguments/global_options.h"
#include "cli/commands/command.h"
#include "cli/help/complete.h"
#include "cli/help/help.h"
#include "cli/net/library.h"
#include "sphere/core/file.h"
#include "sphere/core/text.h"

namespace {

using sphere::cli::all_commands;
using sphere::cli::CommandSpec;
using sphere::cli::OptionKind;
using sphere::cli::OptionSpec;
using sphere::cli::parse_line;
using sphere::cli::resolve;
using Words = std::vector<std::string>;

// The words of a shell line, quotes taken off; ends at what the shell itself takes.
Words shell_words(std::string_view line) {
  Words words;
  std::string word;
  bool quoted = false;
  for (const char c : line) {
    if (c == '"' || c == '\'') {
      quoted = !quoted;
    } else if (!quoted && std::string_view{"|>;&)"}.find(c) != std::string_view::npos) {
      break;
    } else if (c == ' ' && !quoted) {
      if (!word.empty()) {
        words.push_back(word);
      }
      word.clear();
    } else {
      word.push_back(c);
    }
  }
  if (!word.empty()) {
    words.push_back(word);
  }
  return words;
}

// The shortest line that the command takes.
Words least_line(const CommandSpec& command) {
  Words words = sphere::split(command.path, ' ');
  for (const auto& positional : command.positionals) {
    if (positional.required) {
      words.emplace_back("word");
    }
  }
  for (const OptionSpec& option : command.options) {
    if (option.required) {
      words.push_back(fmt::format("--{}", option.name));
      if (option.kind != OptionKind::flag) {
        words.emplace_back(option.choices.empty() ? "value" : option.choices.front());
      }
    }
  }
  return words;
}

// Everything in `text` that begins like a command of ours names one. The program's name followed by
// another word ("the package sphere again") is none.
void check_commands_in(const std::string& text) {
  constexpr std::string_view kName = "sphere ";
  for (auto at = text.find(kName); at != std::string::npos; at = text.find(kName, at + 1)) {
    const auto start = at + kName.size();
    const auto end = text.find_first_not_of("abcdefghijklmnopqrstuvwxyz- ", start);
    const auto words = shell_words(text.substr(start, end - start));
    const auto nouns = sphere::cli::nouns();
    if (words.empty() ||
        std::ranges::find(nouns, words.front(), &sphere::cli::Noun::name) == nouns.end()) {
      continue;
    }
    CAPTURE(text, words);
    const auto resolved = resolve(words);
    CHECK(resolved.has_value());
  }
}

}  // namespace

TEST_CASE("every command has what its help needs", "[cli]") {
  std::set<std::string_view> paths;
  for (const CommandSpec* command : all_commands()) {
    CAPTURE(command->path);
    CHECK(paths.insert(command->path).second);
    CHECK_FALSE(command->summary.empty());
    CHECK_FALSE(command->summary.ends_with('.'));
    CHECK_FALSE(command->examples.empty());
    for (const OptionSpec& option : command->options) {
      CAPTURE(option.name);
      CHECK_FALSE(option.help.empty());
      CHECK_FALSE(option.help.ends_with('.'));
      if (!option.default_text.empty() && !option.choices.empty()) {
        CHECK(std::ranges::find(option.choices, option.default_text) != option.choices.end());
      }
    }
    const auto help = sphere::cli::command_help(*command, 80);
    CHECK(help.find("Examples\n") != std::string::npos);
    CHECK(help.find("Needs: ") != std::string::npos);
  }
}

TEST_CASE("every example is a line that the command takes", "[cli]") {
  for (const CommandSpec* command : all_commands()) {
    for (const std::string_view example : command->examples) {
      CAPTURE(example);
      const auto at = example.find("sphere ");
      REQUIRE(at != std::string_view::npos);
      const auto line = example.substr(at + 7);
      // The shell takes the file for standard input away.
      const auto resolved = resolve(shell_words(line.substr(0, line.find(" < "))));
      REQUIRE(resolved);
      REQUIRE(resolved->command == command);
      const auto parsed = parse_line(*command, resolved->rest);
      CHECK((parsed ? "" : parsed.error().message()).empty());
    }
  }
}

TEST_CASE("every command named in a help text is one", "[cli]") {
  check_commands_in(sphere::cli::program_help(80));
  for (const CommandSpec* command : all_commands()) {
    check_commands_in(std::string{command->summary});
    for (const OptionSpec& option : command->options) {
      check_commands_in(std::string{option.help});
    }
  }
}

TEST_CASE("every command named in the sources' messages is one", "[cli]") {
  namespace fs = std::filesystem;
  const fs::path source = SPHERE_SOURCE_DIR;
  int files = 0;
  for (const auto& part : {source / "cli", source / "libsdk" / "src", source / "device-agent"}) {
    for (const auto& entry : fs::recursive_directory_iterator{part}) {
      if (entry.path().extension() != ".cpp") {
        continue;
      }
      ++files;
      const auto text = sphere::read_text_file(entry.path(), std::size_t{1} << 20U);
      REQUIRE(text);
      for (const std::string& line : sphere::split(*text, '\n')) {
        if (line.find('"') != std::string::npos && line.find("sphere ") != std::string::npos) {
          CAPTURE(entry.path());
          check_commands_in(line);
        }
      }
    }
  }
  CHECK(files > 50);
}

TEST_CASE("every command has a run function, here or in the network library", "[cli]") {
  for (const CommandSpec* command : all_commands()) {
    CAPTURE(command->path);
    if (command->run == nullptr) {
      CHECK(sphere::cli::load_net_command(SPHERE_BINARY_DIR "/bin/sphere", command->path));
    }
  }
  CHECK_FALSE(sphere::cli::load_net_command(SPHERE_BINARY_DIR "/bin/sphere", "no command"));
}

TEST_CASE("every command refuses an unknown option", "[cli]") {
  for (const CommandSpec* command : all_commands()) {
    CAPTURE(command->path);
    auto words = least_line(*command);
    words.emplace_back("--no-such-option");
    const auto resolved = resolve(words);
    REQUIRE(resolved);
    const auto parsed = parse_line(*command, resolved->rest);
    REQUIRE_FALSE(parsed);
    CHECK(parsed.error().hint().reason == "usage.unknown-option");
  }
}

TEST_CASE("global options stand anywhere in every command", "[cli]") {
  for (const CommandSpec* command : all_commands()) {
    const auto least = least_line(*command);
    const auto nouns = sphere::split(command->path, ' ').size();
    for (std::size_t at = 0; at <= nouns; ++at) {
      auto words = least;
      const Words global = {"--output", "yaml", "--verbose"};
      words.insert(words.begin() + static_cast<std::ptrdiff_t>(at), global.begin(), global.end());
      words.emplace_back("--only-show-errors");
      CAPTURE(words);
      const auto resolved = resolve(words);
      REQUIRE(resolved);
      REQUIRE(resolved->command == command);
      const auto parsed = parse_line(*command, resolved->rest);
      REQUIRE(parsed);
      CHECK(parsed->global.output == "yaml");
      CHECK(parsed->global.verbose);
      CHECK(parsed->global.only_show_errors);
    }
  }
}

TEST_CASE("every command and option is completed", "[cli]") {
  for (const CommandSpec* command : all_commands()) {
    CAPTURE(command->path);
    auto words = sphere::split(command->path, ' ');
    CHECK_FALSE(sphere::cli::complete(words, "/nonexistent").empty());
    words.emplace_back("--");
    for (const OptionSpec& option : command->options) {
      CHECK(sphere::cli::complete(words, "/nonexistent").find(fmt::format("--{}\t", option.name)) !=
            std::string::npos);
    }
  }
}

TEST_CASE("no option hides another one of its command", "[cli]") {
  for (const CommandSpec* command : all_commands()) {
    std::set<std::string> names;
    for (const OptionSpec& option : command->options) {
      CAPTURE(command->path, option.name);
      CHECK(names.insert(fmt::format("--{}", option.name)).second);
      if (!option.short_name.empty()) {
        CHECK(names.insert(fmt::format("-{}", option.short_name)).second);
      }
      for (const std::string_view alias : option.aliases) {
        CHECK(names.insert(fmt::format("{}{}", alias.size() == 1 ? "-" : "--", alias)).second);
      }
    }
  }
}

TEST_CASE("the program's help fits a screen", "[cli]") {
  CHECK(std::ranges::count(sphere::cli::program_help(80), '\n') <= 40);
}
