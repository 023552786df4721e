// SPDX-License-Identifier: MIT
#include "cli/azsphere/alias.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "cli/arguments/global_options.h"
#include "cli/arguments/spelling.h"
#include "cli/commands/command.h"
#include "cli/commands/table.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"

namespace sphere::cli {
namespace {

using Words = std::vector<std::string>;

struct WordAlias {
  std::string_view old;
  std::string_view words;  // "": it is told why there is none.
};

// Whole beginnings of a line, the longer ones first. A row may be followed by words of its own.
// NOLINTBEGIN(modernize-use-designated-initializers): the rows of tables.
constexpr std::array kWords = {
    WordAlias{"device sideload start", "device app start"},
    WordAlias{"device sideload stop", "device app stop"},
    WordAlias{"device sideload show-status", "device app show-status"},
    WordAlias{"device capability select", "device capability apply"},
    WordAlias{"device prep-debug", "device enable-development"},
    WordAlias{"device prep-sideload", "device enable-development"},
    WordAlias{"device prep-field", "device enable-cloud-test"},
    WordAlias{"device edv", "device enable-development"},
    WordAlias{"show-version", "show-sdk-version"},
};

// Classic short words, each in its place of the line.
constexpr std::array kShort = {WordAlias{"dev", "device"}, WordAlias{"img", "image"}};

// What only a security service can do. (Commands that `sphere` has are found before these.)
constexpr std::array<std::string_view, 14> kOfService = {
    "tenant",    "catalog",        "product",      "device-group", "deployment",
    "role",      "ca-certificate", "image",        "login",        "logout",
    "show-user", "register-user",  "device claim", "device update"};

// Options of one old command that had another name or another meaning.
struct OptionAlias {
  std::string_view command;  // Of `sphere`.
  std::string_view old;
  std::string_view name;
};
constexpr std::array kOptions = {
    OptionAlias{"device app start", "--debug", "--debug-mode"},
    OptionAlias{"", "-ip", "--device"},
};
// NOLINTEND(modernize-use-designated-initializers)

bool begins_with(std::string_view line, std::string_view words) {
  return line.starts_with(words) && (line.size() == words.size() || line[words.size()] == ' ');
}

const CommandSpec* command_of(std::string_view line) {
  const CommandSpec* found = nullptr;
  for (const CommandSpec* command : all_commands()) {
    if (begins_with(line, command->path) &&
        (found == nullptr || command->path.size() > found->path.size())) {
      found = command;
    }
  }
  return found;
}

// Where the words of the command stand: not the options before them, nor their values.
std::vector<std::size_t> word_places(const Words& line) {
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < line.size() && line[i] != "--"; ++i) {
    if (!is_option(line[i])) {
      places.push_back(i);
      continue;
    }
    const auto token = read_option(line[i]);
    const auto* global = find_global_option(token.name);
    if (global == nullptr && !places.empty()) {
      break;  // An option of the command: its words are over.
    }
    if (global != nullptr && global->kind != OptionKind::flag && !token.has_value) {
      ++i;
    }
  }
  return places;
}

std::string joined(const Words& line, const std::vector<std::size_t>& places) {
  Words words;
  for (const auto place : places) {
    words.push_back(line[place]);
  }
  return join(words, " ");
}

// "image-package", "ImagePackage" and "imagepackage" are one name.
std::string compact(std::string_view name) {
  auto text = to_lower(name);
  std::erase(text, '-');
  return text;
}

std::string option_name(const CommandSpec& command, const std::string& token) {
  for (const auto& alias : kOptions) {
    if (token == alias.old && (alias.command.empty() || alias.command == command.path)) {
      return std::string{alias.name};
    }
  }
  if (!token.starts_with("--")) {
    return token;
  }
  const auto end = std::min(token.find('='), token.size());
  const auto wanted = compact(std::string_view{token}.substr(2, end - 2));
  for (const auto options : {command.options, global_options()}) {
    for (const auto& option : options) {
      const bool old = std::ranges::any_of(option.aliases, [&wanted](std::string_view alias) {
        return alias.size() > 1 && compact(alias) == wanted;
      });
      if (old || compact(option.name) == wanted) {
        return fmt::format("--{}{}", option.name, token.substr(end));
      }
    }
  }
  return token;
}

// The values of a list that old programs wrote with commas.
void add_value(Words& line, const std::string& value, bool is_list) {
  std::error_code error;
  if (!is_list || value.find(',') == std::string::npos || std::filesystem::exists(value, error)) {
    line.push_back(value);
    return;
  }
  for (auto& part : split(value, ',')) {
    line.push_back(std::move(part));
  }
}

Words spell_options(const CommandSpec& command, const Words& line, bool d_is_debug) {
  Words result;
  bool in_list = false;
  bool over = false;
  for (const auto& word : line) {
    over = over || word == "--";
    if (over || !is_option(word)) {
      add_value(result, word, in_list && !over);
      continue;
    }
    const auto name = d_is_debug && word == "-d" ? "--debug-mode" : option_name(command, word);
    const auto token = read_option(name);
    in_list = std::ranges::any_of(command.options, [&token](const OptionSpec& option) {
      return option.kind == OptionKind::list &&
             (option.name == token.name || option.short_name == token.name);
    });
    result.push_back(name);
    if (name == "--debug-mode" && word == "--debug") {
      result.push_back(word);  // Old pages write it for both.
    }
  }
  return result;
}

tl::unexpected<Error> of_service(const std::string& words) {
  return fail(Errc::unavailable, fmt::format("{} needs a security service", words),
              {.reason = "service.not-configured",
               .value = "no service is configured",
               .next = "deploy to an attached device: sphere device sideload deploy"});
}

}  // namespace

Result<Words> to_sphere(const Words& line) {
  auto places = word_places(line);
  Words words = line;
  for (const auto place : places) {
    const auto found = std::ranges::find(kShort, std::string_view{words[place]}, &WordAlias::old);
    words[place] = found != kShort.end() ? std::string{found->words} : words[place];
  }
  auto text = joined(words, places);
  if (begins_with(text, "interactive")) {
    return fail(Errc::invalid_argument, "there is no interactive mode",
                {.reason = "usage.not-offered",
                 .value = "interactive",
                 .next = "let the shell complete words: sphere completion bash"});
  }
  bool d_is_debug = false;
  for (const auto& alias : kWords) {
    if (begins_with(text, alias.old)) {
      const auto count = split(alias.old, ' ').size();
      d_is_debug = alias.old == "device sideload start";
      for (std::size_t i = 0; i < count; ++i) {
        words[places[i]].clear();  // The new words stand where the first one stood.
      }
      words[places.front()] = alias.words;
      text.replace(0, alias.old.size(), alias.words);
      break;
    }
  }
  Words result;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const bool is_word = std::ranges::find(places, i) != places.end();
    if (is_word && !words[i].empty()) {
      const auto parts = split(words[i], ' ');
      result.insert(result.end(), parts.begin(), parts.end());
    } else if (!is_word) {
      result.push_back(words[i]);
    }
  }
  const auto* command = command_of(text);
  if (command != nullptr) {
    return spell_options(*command, result, d_is_debug);
  }
  const bool service = std::ranges::any_of(
      kOfService, [&text](std::string_view of) { return begins_with(text, of); });
  return service ? Result<Words>{of_service(text)} : Result<Words>{result};
}

}  // namespace sphere::cli
