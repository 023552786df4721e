// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cli/output/output.h"
#include "sphere/core/result.h"

namespace sphere::cli {

struct Context;  // cli/context.h: what a command may use.

enum class OptionKind : std::uint8_t { flag, value, list };

struct OptionSpec {
  std::string_view name;             // "image-package": written --image-package
  std::string_view short_name = {};  // "p" (-p) or a multi-letter word "of" (-of)
  OptionKind kind = OptionKind::value;
  bool required = false;
  std::string_view required_unless = {};  // The option beside which it is not required.
  std::string_view value_name = {};       // "FILE" in the help.
  std::string_view help = {};             // One sentence without a final stop.
  std::string_view default_text = {};     // Shown in the help, and the value when not given.
  std::span<const std::string_view> choices = {};
  // Older spellings (cli.md 11.2) without dashes, accepted and hidden; a one-letter one is short.
  std::span<const std::string_view> aliases = {};
};

struct PositionalSpec {
  std::string_view name;  // "DIR"
  std::string_view help = {};
  bool required = true;
  bool repeats = false;  // The last one only: takes all words that are left.
};

// Whether a command needs an attached device; decides --device and the diagnosis of failures.
enum class Needs : std::uint8_t { local, device };

// The options of one call, by OptionSpec::name.
class Arguments {
 public:
  std::map<std::string, std::vector<std::string>, std::less<>> values;
  std::vector<std::string> positionals;

  [[nodiscard]] bool has(std::string_view name) const { return values.find(name) != values.end(); }
  // The value, or the default, or nothing.
  [[nodiscard]] std::optional<std::string> value(std::string_view name) const;
  [[nodiscard]] std::vector<std::string> list(std::string_view name) const;
  [[nodiscard]] std::string positional(std::size_t index) const;  // "" when absent.
};

using Run = Result<Output> (*)(Context& context, const Arguments& arguments);

// One row for each command: help, completion, parsing and dispatch all come from it.
struct CommandSpec {
  std::string_view path;  // "device sideload deploy"
  Needs needs = Needs::local;
  std::string_view summary;
  std::span<const OptionSpec> options = {};
  std::span<const PositionalSpec> positionals = {};
  std::span<const std::string_view> examples = {};
  // What a person must confirm first (cli.md 7), or empty. "{0}" is the first positional.
  std::string_view confirm = {};
  bool confirm_without_terminal = false;  // true: --yes is needed where nobody can be asked.
  Run run = nullptr;  // Null: the run function stands in libsphere_net.so under this path.
};

// The table of libsphere_net.so (cli/net/table.cpp): network code stays out of the start-up of
// commands that do not need it.
struct NetCommand {
  std::string_view path;
  Run run;
};

}  // namespace sphere::cli
