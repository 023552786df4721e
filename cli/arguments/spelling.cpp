// SPDX-License-Identifier: MIT
#include "cli/arguments/spelling.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "cli/arguments/global_options.h"
#include "cli/commands/command.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"

namespace sphere::cli {
namespace {

// A byte that no option begins with and that a shell user hardly types.
constexpr char kPlaceHolder = '\x01';

// Commands whose older spellings had -v for --verbose.
constexpr std::array<std::string_view, 2> kShortVerbose = {"image-package pack-application",
                                                           "device recover"};

bool has_alias(const OptionSpec& option, std::string_view name) {
  return std::ranges::find(option.aliases, name) != option.aliases.end();
}

// What an option word names.
struct Match {
  const OptionSpec* option = nullptr;
  bool is_alias = false;
};

class Speller {
 public:
  Speller(const CommandSpec& command, const std::vector<std::string>& rest)
      : command_{&command}, rest_{&rest} {}

  Result<Spelled> run() {
    for (index_ = 0; index_ < rest_->size(); ++index_) {
      const std::string& word = (*rest_)[index_];
      if (word == "--") {
        take_rest();
        break;
      }
      if (is_option(word)) {
        more_letters_ = word;
        while (!more_letters_.empty()) {
          SPHERE_TRY(take_option(std::exchange(more_letters_, {})));
        }
      } else {
        add_value(word);
      }
    }
    return std::move(result_);
  }

 private:
  void add_value(std::string value) {
    result_.tokens.push_back(place_holder(result_.values.size()));
    result_.values.push_back(std::move(value));
  }

  void take_rest() {
    result_.tokens.emplace_back("--");
    for (++index_; index_ < rest_->size(); ++index_) {
      add_value((*rest_)[index_]);
    }
  }

  [[nodiscard]] bool next_is_value() const {
    return index_ + 1 < rest_->size() && !(*rest_)[index_ + 1].starts_with("--");
  }

  // Older spellings gave --output, -o and -h other meanings, told apart by their value
  // (cli.md 11.2).
  [[nodiscard]] bool means_global(const OptionSpec& global, const OptionToken& token) const {
    if (global.name == "help") {
      return token.is_long || index_ + 1 >= rest_->size() || is_option((*rest_)[index_ + 1]);
    }
    if (global.name == "output") {
      const std::string& value =
          token.has_value || !next_is_value() ? token.value : (*rest_)[index_ + 1];
      return std::ranges::find(global.choices, value) != global.choices.end();
    }
    return false;
  }

  [[nodiscard]] Match find(const OptionToken& token) const {
    const auto is_named = [&token](const OptionSpec& option) {
      return token.is_long ? option.name == token.name : option.short_name == token.name;
    };
    const auto own = std::ranges::find_if(command_->options, is_named);
    if (own != command_->options.end()) {
      return {.option = &*own};
    }
    const auto globals = global_options();
    const auto global = std::ranges::find_if(globals, is_named);
    if (global != globals.end() && means_global(*global, token)) {
      return {.option = &*global};
    }
    const auto has_name = [&token](const OptionSpec& option) {
      return (token.name.size() == 1) != token.is_long && has_alias(option, token.name);
    };
    const auto alias = std::ranges::find_if(command_->options, has_name);
    if (alias != command_->options.end()) {
      return {.option = &*alias, .is_alias = true};
    }
    if (global != globals.end()) {
      return {.option = &*global};
    }
    if (token.is_long) {
      const auto other = std::ranges::find_if(globals, has_name);
      return {.option = other == globals.end() ? nullptr : &*other};
    }
    return {.option = token.name == "v" && std::ranges::find(kShortVerbose, command_->path) !=
                                               kShortVerbose.end()
                          ? find_global_option("verbose")
                          : nullptr};
  }

  // A word like "-dg" or "-of=x": one dash and a name of several letters, if the command has it.
  [[nodiscard]] Match find_word(std::string_view word, OptionToken& token) const {
    if (word.starts_with("--")) {
      return {};
    }
    const std::string_view name = word.substr(1, word.find('=') - 1);
    for (const OptionSpec& option : command_->options) {
      if (name.size() > 1 && (option.short_name == name || has_alias(option, name))) {
        token = read_option(fmt::format("-{}", word));
        return {.option = &option};
      }
    }
    return {};
  }

  Result<void> take_option(const std::string& word) {
    OptionToken token = read_option(word);
    Match match = find_word(word, token);
    if (match.option == nullptr) {
      match = find(token);
    }
    if (match.option == nullptr) {
      result_.tokens.push_back(word);
      return {};
    }
    const OptionSpec& option = *match.option;
    if (match.is_alias && token.is_long) {
      result_.warnings.push_back(
          fmt::format("--{} is an old name of --{}", token.name, option.name));
    }
    result_.tokens.push_back(fmt::format("--{}", option.name));
    if (option.kind == OptionKind::flag) {
      SPHERE_TRY(check_flag(option, token));
      // The letters behind a one-letter flag are further options.
      more_letters_ = token.has_value ? "-" + token.value : std::string{};
      return {};
    }
    if (token.has_value) {
      add_value(token.value);
      return {};
    }
    if (!next_is_value()) {
      return fail(Errc::invalid_argument, fmt::format("option --{} needs a value", option.name),
                  {.reason = "usage.bad-value",
                   .value = "--" + std::string{option.name},
                   .next = fmt::format("sphere {} --help", command_->path)});
    }
    add_value((*rest_)[++index_]);
    return {};
  }

  [[nodiscard]] Result<void> check_flag(const OptionSpec& option, const OptionToken& token) const {
    const bool has_letters = !token.is_long && !token.value.empty() && token.value.front() != '=';
    if (!token.has_value || has_letters) {
      return {};
    }
    return fail(Errc::invalid_argument, fmt::format("option --{} takes no value", option.name),
                {.reason = "usage.bad-value",
                 .value = token.value,
                 .next = fmt::format("sphere {} --help", command_->path)});
  }

  const CommandSpec* command_;
  const std::vector<std::string>* rest_;
  std::size_t index_ = 0;
  std::string more_letters_;  // "-ab" behind a flag; empty when there are none.
  Spelled result_;
};

}  // namespace

OptionToken read_option(std::string_view token) {
  OptionToken result;
  result.is_long = token.starts_with("--");
  const std::string_view body =
      token.substr(std::min<std::size_t>(result.is_long ? 2 : 1, token.size()));
  const std::size_t end = result.is_long ? std::min(body.find('='), body.size())
                                         : std::min<std::size_t>(1, body.size());
  result.name = body.substr(0, end);
  if (end < body.size()) {
    result.has_value = true;
    result.value = body.substr(body[end] == '=' ? end + 1 : end);
  }
  return result;
}

bool is_option(std::string_view token) { return token.size() > 1 && token.front() == '-'; }

tl::unexpected<Error> unknown_option(std::string_view token, std::string_view words,
                                     const CommandSpec* command) {
  std::set<std::string> names;
  for (const OptionSpec& option : shown_global_options()) {
    names.insert(fmt::format("--{}", option.name));
  }
  if (command != nullptr) {
    for (const OptionSpec& option : command->options) {
      names.insert(fmt::format("--{}", option.name));
    }
  }
  const std::string name{token.substr(0, token.find('='))};
  const auto near = nearest(name, std::vector<std::string>(names.begin(), names.end()));
  const std::string help = words.empty() ? "sphere --help" : fmt::format("sphere {} --help", words);
  return fail(
      Errc::invalid_argument, fmt::format("unknown option: {}", escape_control(name)),
      {.reason = "usage.unknown-option",
       .value = name,
       .next =
           near.empty() ? help : fmt::format("did you mean {}? See {}", join(near, ", "), help)});
}

std::string place_holder(std::size_t index) { return fmt::format("{}{}", kPlaceHolder, index); }

std::string value_of(const Spelled& spelled, const std::string& word) {
  std::size_t index = 0;
  if (word.empty() || word.front() != kPlaceHolder) {
    return word;
  }
  const std::string_view digits = std::string_view{word}.substr(1);
  const char* const end = std::to_address(digits.end());
  const auto read = std::from_chars(digits.data(), end, index);
  if (read.ec != std::errc{} || read.ptr != end || index >= spelled.values.size()) {
    return word;
  }
  return spelled.values[index];
}

Result<Spelled> spell_out(const CommandSpec& command, const std::vector<std::string>& rest) {
  return Speller{command, rest}.run();
}

}  // namespace sphere::cli
