// SPDX-License-Identifier: MIT
#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>  // IWYU pragma: keep: App.hpp needs its bodies
#include <CLI/Error.hpp>
#include <CLI/Formatter.hpp>  // IWYU pragma: keep: as Config.hpp
#include <CLI/Option.hpp>
#include <CLI/StringTools.hpp>
#include <fmt/format.h>

#include "cli/arguments/command_line.h"
#include "cli/arguments/global_options.h"
#include "cli/arguments/spelling.h"
#include "cli/commands/command.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"

namespace sphere::cli {
namespace {

// Where CLI11 puts the values of one option.
struct Slot {
  const OptionSpec* option;
  CLI::Option* defined = nullptr;
  std::string single = {};
  std::vector<std::string> many = {};
};

std::string help_of(const CommandSpec& command) {
  return fmt::format("sphere {} --help", command.path);
}

// The options of the command and those global ones whose names it does not use itself.
std::vector<const OptionSpec*> options_of(const CommandSpec& command) {
  std::vector<const OptionSpec*> result;
  for (const OptionSpec& option : command.options) {
    result.push_back(&option);
  }
  for (const OptionSpec& option : global_options()) {
    if (std::ranges::none_of(command.options, [&option](const OptionSpec& own) {
          return own.name == option.name;
        })) {
      result.push_back(&option);
    }
  }
  return result;
}

void define(CLI::App& app, Slot& slot) {
  const std::string name = fmt::format("--{}", slot.option->name);
  switch (slot.option->kind) {
    case OptionKind::flag:
      slot.defined = app.add_flag(name);
      break;
    case OptionKind::value:
      slot.defined =
          app.add_option(name, slot.single)->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
      break;
    case OptionKind::list:
      slot.defined =
          app.add_option(name, slot.many)->expected(1, CLI::detail::expected_max_vector_size);
      break;
  }
}

// What CLI11 read, with the place holders filled in.
struct Read {
  Arguments arguments;
  std::vector<std::string> left_over;
};

Result<Read> read_with_cli11(const CommandSpec& command, const Spelled& spelled) {
  CLI::App app;
  app.set_help_flag();
  app.allow_extras();
  std::list<Slot> slots;  // CLI11 keeps references into it.
  for (const OptionSpec* option : options_of(command)) {
    define(app, slots.emplace_back(Slot{.option = option}));
  }
  std::vector<std::string> words;
  app.add_option("words", words)->expected(0, CLI::detail::expected_max_vector_size);
  try {
    std::vector<std::string> tokens(spelled.tokens.rbegin(), spelled.tokens.rend());
    app.parse(std::move(tokens));
  } catch (const CLI::Error& error) {
    return fail(Errc::invalid_argument, error.what(),
                {.reason = "usage.bad-value", .next = help_of(command)});
  }
  Read result;
  for (const Slot& slot : slots) {
    if (slot.defined->count() == 0) {
      continue;
    }
    auto& values = result.arguments.values[std::string{slot.option->name}];
    if (slot.option->kind == OptionKind::value) {
      values.push_back(value_of(spelled, slot.single));
    }
    for (const std::string& word : slot.many) {
      values.push_back(value_of(spelled, word));
    }
  }
  for (const std::string& word : words) {
    const bool repeats = !command.positionals.empty() && command.positionals.back().repeats;
    auto& place = repeats || result.arguments.positionals.size() < command.positionals.size()
                      ? result.arguments.positionals
                      : result.left_over;
    place.push_back(value_of(spelled, word));
  }
  for (const std::string& word : app.remaining()) {
    if (word != "--") {
      result.left_over.push_back(value_of(spelled, word));
    }
  }
  return result;
}

Result<void> check_left_over(const CommandSpec& command, const Spelled& spelled,
                             const std::vector<std::string>& left_over) {
  // An option that is not known explains the words behind it, so it is named first.
  for (const std::string& token : spelled.tokens) {
    if (token == "--") {
      break;
    }
    if (is_option(token) && std::ranges::find(left_over, token) != left_over.end()) {
      return unknown_option(token, command.path, &command);
    }
  }
  if (!left_over.empty()) {
    return fail(
        Errc::invalid_argument,
        fmt::format("unexpected word: {}", escape_control(left_over.front())),
        {.reason = "usage.unknown-option", .value = left_over.front(), .next = help_of(command)});
  }
  return {};
}

Result<void> check_choice(const CommandSpec& command, const OptionSpec& option,
                          const std::string& value) {
  if (option.choices.empty() || std::ranges::find(option.choices, value) != option.choices.end()) {
    return {};
  }
  const std::vector<std::string> choices(option.choices.begin(), option.choices.end());
  return fail(Errc::invalid_argument,
              fmt::format("--{} is one of {}, not {}", option.name, join(choices, ", "),
                          escape_control(value)),
              {.reason = "usage.bad-value", .value = value, .next = help_of(command)});
}

Result<void> check_option(const CommandSpec& command, const OptionSpec& option,
                          const Arguments& arguments) {
  for (const std::string& value : arguments.list(option.name)) {
    SPHERE_TRY(check_choice(command, option, value));
    if (value.empty() && option.required) {
      return fail(Errc::invalid_argument, fmt::format("the value of --{} is empty", option.name),
                  {.reason = "usage.bad-value", .value = "", .next = help_of(command)});
    }
  }
  const bool is_lifted = !option.required_unless.empty() && arguments.has(option.required_unless);
  if (!option.required || is_lifted || arguments.has(option.name)) {
    return {};
  }
  return fail(Errc::invalid_argument, fmt::format("option --{} is missing", option.name),
              {.reason = "usage.missing-option",
               .value = fmt::format("--{}", option.name),
               .next = help_of(command)});
}

Result<void> check_values(const CommandSpec& command, const Arguments& arguments) {
  for (const OptionSpec* option : options_of(command)) {
    SPHERE_TRY(check_option(command, *option, arguments));
  }
  for (std::size_t i = arguments.positionals.size(); i < command.positionals.size(); ++i) {
    if (command.positionals[i].required) {
      return fail(Errc::invalid_argument, fmt::format("{} is missing", command.positionals[i].name),
                  {.reason = "usage.missing-option",
                   .value = std::string{command.positionals[i].name},
                   .next = help_of(command)});
    }
  }
  return {};
}

Result<std::chrono::seconds> read_seconds(const std::string& text) {
  constexpr int kMost = 86400;
  int seconds = 0;
  const char* const end = std::to_address(text.end());
  const auto read = std::from_chars(text.data(), end, seconds);
  if (read.ec != std::errc{} || read.ptr != end || seconds < 1 || seconds > kMost) {
    return fail(Errc::invalid_argument,
                fmt::format("--timeout takes 1 to 86400 seconds, not {}", escape_control(text)),
                {.reason = "usage.bad-value", .value = text, .next = "sphere --help"});
  }
  return std::chrono::seconds{seconds};
}

bool has_own(const CommandSpec& command, std::string_view name) {
  return std::ranges::any_of(command.options,
                             [name](const OptionSpec& own) { return own.name == name; });
}

// Global options that make no sense with this command, or that are not offered at all.
Result<void> check_offered(const CommandSpec& command, const Arguments& arguments) {
  if (arguments.has("query") && !has_own(command, "query")) {
    return fail(Errc::invalid_argument, "--query is not offered",
                {.reason = "usage.not-offered",
                 .value = arguments.value("query").value_or(""),
                 .next = "--output json | jp 'EXPRESSION' (package jp), or jq"});
  }
  if (command.needs == Needs::local && arguments.has("device") && !has_own(command, "device")) {
    return fail(Errc::invalid_argument,
                fmt::format("sphere {} needs no device, so it takes no --device", command.path),
                {.reason = "usage.unknown-option",
                 .value = arguments.value("device").value_or(""),
                 .next = help_of(command)});
  }
  return {};
}

// Takes the global options out of `parsed.arguments`.
Result<void> take_global(const CommandSpec& command, ParsedLine& parsed) {
  auto& values = parsed.arguments.values;
  GlobalOptions& global = parsed.global;
  global.output = parsed.arguments.value("output");
  global.device = parsed.arguments.value("device");
  global.progress = parsed.arguments.value("progress");
  global.verbose = values.contains("verbose");
  global.debug = values.contains("debug");
  global.only_show_errors = values.contains("only-show-errors");
  global.no_color = values.contains("no-color");
  global.yes = values.contains("yes");
  if (const auto text = parsed.arguments.value("timeout"); text && !has_own(command, "timeout")) {
    SPHERE_TRY_ASSIGN(global.timeout, read_seconds(*text));
  }
  for (const std::string_view name : {"resource-group", "subscription"}) {
    if (!has_own(command, name) && values.contains(std::string{name})) {
      parsed.warnings.push_back(fmt::format("--{} means nothing here and is ignored", name));
    }
  }
  for (const OptionSpec& option : global_options()) {
    if (!has_own(command, option.name)) {
      values.erase(std::string{option.name});
    }
  }
  return {};
}

void add_defaults(const CommandSpec& command, Arguments& arguments) {
  for (const OptionSpec& option : command.options) {
    if (!option.default_text.empty() && option.kind != OptionKind::flag &&
        !arguments.has(option.name)) {
      arguments.values[std::string{option.name}] = {std::string{option.default_text}};
    }
  }
}

// Checks what was read, takes the global options out of it and adds the defaults.
Result<void> finish(const CommandSpec& command, ParsedLine& parsed) {
  SPHERE_TRY(check_offered(command, parsed.arguments));
  SPHERE_TRY(check_values(command, parsed.arguments));
  SPHERE_TRY(take_global(command, parsed));
  add_defaults(command, parsed.arguments);
  return {};
}

}  // namespace

Result<ParsedLine> parse_line(const CommandSpec& command, const std::vector<std::string>& rest) {
  SPHERE_TRY_ASSIGN(const auto spelled, spell_out(command, rest));
  SPHERE_TRY_ASSIGN(auto read, read_with_cli11(command, spelled));
  ParsedLine parsed;
  parsed.arguments = std::move(read.arguments);
  parsed.warnings = spelled.warnings;
  parsed.global.help = parsed.arguments.has("help") && !has_own(command, "help");
  if (!parsed.global.help) {
    SPHERE_TRY(check_left_over(command, spelled, read.left_over));
    SPHERE_TRY(finish(command, parsed));
  }
  return parsed;
}

}  // namespace sphere::cli
