// SPDX-License-Identifier: MIT
#include "cli/arguments/global_options.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <string_view>

#include "cli/commands/command.h"

namespace sphere::cli {
namespace {

constexpr std::array<std::string_view, 1> kOutputAliases = {"out"};
constexpr std::array<std::string_view, 6> kFormats = {"table", "json", "jsonc",
                                                      "yaml",  "tsv",  "none"};
constexpr std::array<std::string_view, 4> kProgress = {"auto", "plain", "json", "none"};

constexpr std::array kOptions = {
    OptionSpec{.name = "output",
               .short_name = "o",
               .value_name = "FORMAT",
               .help = "Form of the result",
               .default_text = "",
               .choices = kFormats,
               .aliases = kOutputAliases},
    OptionSpec{.name = "device",
               .short_name = "d",
               .value_name = "DEVICE",
               .help = "Connection path, IP address, board name or device id of the device"},
    OptionSpec{.name = "verbose",
               .kind = OptionKind::flag,
               .help = "Say on standard error what is done and with what"},
    OptionSpec{.name = "debug",
               .kind = OptionKind::flag,
               .help = "As --verbose, with requests, statuses and timings"},
    OptionSpec{.name = "only-show-errors",
               .kind = OptionKind::flag,
               .help = "No warnings and no progress"},
    OptionSpec{.name = "progress",
               .value_name = "FORM",
               .help = "Form of the progress on standard error",
               .choices = kProgress},
    OptionSpec{.name = "no-color", .kind = OptionKind::flag, .help = "No colour"},
    OptionSpec{.name = "timeout",
               .value_name = "SECONDS",
               .help = "Upper limit for the whole command, 1 to 86400"},
    OptionSpec{.name = "yes",
               .short_name = "y",
               .kind = OptionKind::flag,
               .help = "Answer every confirmation with yes"},
    OptionSpec{.name = "help", .short_name = "h", .kind = OptionKind::flag, .help = "Show help"},
    // Not shown: words of az that mean nothing here, and one that is not offered.
    OptionSpec{.name = "resource-group", .short_name = "g", .value_name = "NAME"},
    OptionSpec{.name = "subscription", .value_name = "NAME"},
    OptionSpec{.name = "query", .value_name = "EXPRESSION"},
};
constexpr std::size_t kHidden = 3;

}  // namespace

std::span<const OptionSpec> global_options() { return kOptions; }

std::span<const OptionSpec> shown_global_options() {
  return std::span{kOptions}.first(kOptions.size() - kHidden);
}

const OptionSpec* find_global_option(std::string_view name) {
  const auto* const found = std::ranges::find_if(kOptions, [name](const OptionSpec& option) {
    return option.name == name || (!name.empty() && option.short_name == name) ||
           std::ranges::find(option.aliases, name) != option.aliases.end();
  });
  return found == kOptions.end() ? nullptr : found;
}

}  // namespace sphere::cli
