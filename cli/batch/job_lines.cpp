// SPDX-License-Identifier: MIT
#include "cli/batch/job_lines.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <poll.h>
#include <string>
#include <string_view>
#include <unistd.h>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "cli/commands/command.h"
#include "cli/environment/signals.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/json/value.h"

namespace sphere::cli {
namespace {

// Options that hold for all jobs and can stand on the command line only.
constexpr std::array<std::string_view, 4> kWholeBatch = {"batch", "jobs", "no-sync",
                                                         "output-directory"};

tl::unexpected<Error> refused(std::string_view reason, std::string message, std::string value,
                              const CommandSpec& command) {
  return fail(Errc::invalid_argument, std::move(message),
              {.reason = reason,
               .value = std::move(value),
               .next = fmt::format("sphere {} --help", command.path)});
}

tl::unexpected<Error> wrong_value(const CommandSpec& command, const json::Member& member,
                                  std::string_view wanted) {
  return refused("usage.bad-value",
                 fmt::format("\"{}\" takes {}", escape_control(member.key), wanted),
                 json::to_compact(member.value), command);
}

Result<const OptionSpec*> find_option(const CommandSpec& command, const std::string& key) {
  const auto found = std::ranges::find(command.options, key, &OptionSpec::name);
  if (found != command.options.end() &&
      std::ranges::find(kWholeBatch, found->name) == kWholeBatch.end()) {
    return &*found;
  }
  std::vector<std::string> names;
  for (const auto& option : command.options) {
    if (std::ranges::find(kWholeBatch, option.name) == kWholeBatch.end()) {
      names.emplace_back(option.name);
    }
  }
  const auto near = nearest(key, names);
  return refused("usage.unknown-option",
                 fmt::format("a job has no option \"{}\"{}", escape_control(key),
                             near.empty() ? std::string{}
                                          : fmt::format("; did you mean \"{}\"?", near.front())),
                 key, command);
}

// A string or a whole number.
Result<std::string> read_value(const CommandSpec& command, const OptionSpec& option,
                               const json::Member& member) {
  std::string text;
  if (const auto* string = member.value.string()) {
    text = *string;
  } else if (member.value.integer()) {
    text = member.value.number_text();
  } else {
    return wrong_value(command, member, "a string");
  }
  if (text.find('\0') != std::string::npos) {
    return wrong_value(command, member, "a string without NUL");
  }
  if (!option.choices.empty() && std::ranges::find(option.choices, text) == option.choices.end()) {
    const std::vector<std::string> choices(option.choices.begin(), option.choices.end());
    return wrong_value(command, member, "one of " + join(choices, ", "));
  }
  return text;
}

Result<std::vector<std::string>> read_list(const CommandSpec& command, const OptionSpec& option,
                                           const json::Member& member) {
  std::vector<std::string> values;
  if (member.value.kind() != json::Kind::array) {
    SPHERE_TRY_ASSIGN(values.emplace_back(), read_value(command, option, member));
    return values;
  }
  for (const auto& item : member.value.items()) {
    SPHERE_TRY_ASSIGN(
        values.emplace_back(),
        read_value(command, option, {.key = member.key, .key_source = {}, .value = item}));
  }
  return values;
}

Result<void> take_member(const CommandSpec& command, const json::Member& member,
                         Arguments& arguments) {
  SPHERE_TRY_ASSIGN(const auto* option, find_option(command, member.key));
  auto& values = arguments.values;
  if (option->kind == OptionKind::flag) {
    const auto flag = member.value.boolean();
    if (!flag) {
      return wrong_value(command, member, "true or false");
    }
    values.erase(member.key);
    if (*flag) {
      values[member.key] = {};
    }
    return {};
  }
  if (option->kind == OptionKind::list) {
    SPHERE_TRY_ASSIGN(values[member.key], read_list(command, *option, member));
    return {};
  }
  SPHERE_TRY_ASSIGN(auto value, read_value(command, *option, member));
  values[member.key] = {std::move(value)};
  return {};
}

Result<void> require_options(const CommandSpec& command, const Arguments& arguments) {
  for (const auto& option : command.options) {
    // Which on the command line may be a word instead.
    const bool is_package = option.name == "image-package";
    if ((option.required || is_package) && arguments.value(option.name).value_or("").empty()) {
      return refused("usage.missing-option", fmt::format("the job has no \"{}\"", option.name),
                     std::string{option.name}, command);
    }
  }
  return {};
}

}  // namespace

Result<Arguments> parse_job(const CommandSpec& command, const Arguments& defaults,
                            std::string_view line) {
  constexpr std::size_t kDepth = 2;
  const auto value = json::parse(line, {.bytes = kMaxJobLine, .depth = kDepth});
  if (!value || value->kind() != json::Kind::object) {
    return refused("usage.bad-value",
                   value ? std::string{"the job is no JSON object"} : value.error().message(),
                   value ? std::string{} : value.error().hint().value, command);
  }
  Arguments arguments;
  arguments.values = defaults.values;
  for (const auto name : kWholeBatch) {
    if (name != "no-sync" && name != "jobs") {
      arguments.values.erase(std::string{name});
    }
  }
  for (const auto& member : value->members()) {
    SPHERE_TRY(take_member(command, member, arguments));
  }
  SPHERE_TRY(require_options(command, arguments));
  return arguments;
}

// Whether there may be more. Does not wait for it unless `wait`.
Result<bool> JobLines::read_more(bool wait) {
  constexpr std::size_t kPiece = std::size_t{64} * 1024;
  pollfd ready = {.fd = descriptor_, .events = POLLIN, .revents = 0};
  if (!wait && ::poll(&ready, 1, 0) <= 0) {
    return false;
  }
  if (wait && !wait_for_input(descriptor_)) {
    return true;  // The caller looks at `interrupted`.
  }
  const auto old = buffer_.size();
  buffer_.resize(old + kPiece);
  const auto count = ::read(descriptor_, buffer_.data() + old, kPiece);
  const int number = errno;
  buffer_.resize(old + (count > 0 ? static_cast<std::size_t>(count) : 0));
  if (count < 0 && number != EINTR) {
    return tl::make_unexpected(system_error("read", "standard input", number));
  }
  at_end_ = count == 0;
  return true;
}

void JobLines::take_line(std::string_view text, std::vector<JobLine>& lines) {
  ++number_;
  if (std::exchange(skips_rest_, false)) {
    return;
  }
  const bool is_too_long = text.size() > kMaxJobLine;
  if (!trim(text).empty()) {
    lines.push_back({.number = number_,
                     .text = std::string{text.substr(0, kMaxJobLine)},
                     .is_too_long = is_too_long});
  }
}

void JobLines::take_lines(std::size_t most, std::vector<JobLine>& lines) {
  std::size_t begin = 0;
  while (lines.size() < most) {
    const auto end = buffer_.find('\n', begin);
    if (end == std::string::npos) {
      break;
    }
    take_line(std::string_view{buffer_}.substr(begin, end - begin), lines);
    begin = end + 1;
  }
  buffer_.erase(0, begin);
  if (lines.size() == most || buffer_.find('\n') != std::string::npos) {
    return;
  }
  if (buffer_.size() > kMaxJobLine || (at_end_ && !buffer_.empty())) {
    const bool goes_on = !at_end_;
    take_line(std::exchange(buffer_, {}), lines);
    if (goes_on) {
      skips_rest_ = true;
      --number_;  // Its line feed is still to come.
    }
  }
}

Result<std::vector<JobLine>> JobLines::next(std::size_t most) {
  std::vector<JobLine> lines;
  while (lines.size() < most && !*interrupted_) {
    take_lines(most, lines);
    if (at_end_ || lines.size() == most) {
      break;
    }
    SPHERE_TRY_ASSIGN(const bool more, read_more(lines.empty()));
    if (!more) {
      break;
    }
  }
  if (*interrupted_) {
    lines.clear();
  }
  return lines;
}

}  // namespace sphere::cli
