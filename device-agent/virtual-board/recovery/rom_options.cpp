// SPDX-License-Identifier: MIT
#include "device-agent/virtual-board/recovery/rom_options.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "device-agent/virtual-board/recovery/rom_boards.h"

namespace sphere::virtual_board {

namespace {

auto bad(std::string message, std::string_view value) {
  return fail(Errc::invalid_argument, std::move(message),
              {.reason = "usage.bad-value",
               .value = std::string{value},
               .next = "see sphere-board rom --help"});
}

template <typename Int>
Result<Int> number(std::string_view option, std::string_view text) {
  Int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) {
    return bad(fmt::format("{} {} is no number that fits", option, text), text);
  }
  return value;
}

using Set = Result<void> (*)(RomOptions&, std::string_view);

// One row for each option with a value.
struct Row {
  std::string_view name;
  Set set;
};
constexpr auto kRows = std::to_array<Row>({
    {"--key",
     [](RomOptions& options, std::string_view text) -> Result<void> {
       options.keys.emplace_back(text);
       return {};
     }},
    {"--board",
     [](RomOptions& options, std::string_view text) -> Result<void> {
       options.board = text;
       return {};
     }},
    {"--identity",
     [](RomOptions& options, std::string_view text) -> Result<void> {
       options.identity = text;
       return {};
     }},
    {"--floor",
     [](RomOptions& options, std::string_view text) -> Result<void> {
       SPHERE_TRY_ASSIGN(options.floor, number<std::uint32_t>("--floor", text));
       return {};
     }},
    {"--flash",
     [](RomOptions& options, std::string_view text) -> Result<void> {
       options.flash = text;
       return {};
     }},
    {"--log",
     [](RomOptions& options, std::string_view text) -> Result<void> {
       options.log = text;
       return {};
     }},
    {"--tcp",
     [](RomOptions& options, std::string_view text) -> Result<void> {
       SPHERE_TRY_ASSIGN(options.port, number<std::uint16_t>("--tcp", text));
       return {};
     }},
    {"--baud",
     [](RomOptions& options, std::string_view text) -> Result<void> {
       SPHERE_TRY_ASSIGN(options.baud, number<std::uint32_t>("--baud", text));
       return {};
     }},
    {"--turnaround",
     [](RomOptions& options, std::string_view text) -> Result<void> {
       SPHERE_TRY_ASSIGN(const auto value, number<std::uint16_t>("--turnaround", text));
       options.turnaround = std::chrono::milliseconds{value};
       return {};
     }},
    {"--seed",
     [](RomOptions& options, std::string_view text) -> Result<void> {
       SPHERE_TRY_ASSIGN(options.seed, number<std::uint32_t>("--seed", text));
       return {};
     }},
    {"--fault",
     [](RomOptions& options, std::string_view text) -> Result<void> {
       SPHERE_TRY_ASSIGN(auto fault, parse_fault(text));
       options.faults.push_back(std::move(fault));
       return {};
     }},
});

}  // namespace

Result<RomOptions> parse_rom_options(std::span<const char* const> arguments) {
  RomOptions options;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string_view name{arguments[i]};
    if (name == "--help") {
      options.help = true;
      return options;
    }
    if (name == "--once") {
      options.once = true;
    } else if (name == "--pty") {
      options.port.reset();
    } else if (!name.starts_with("--") && options.protocol.empty()) {
      options.protocol = name;
    } else {
      const auto* const row = std::ranges::find(kRows, name, &Row::name);
      if (row == kRows.end() || i + 1 == arguments.size()) {
        return bad(fmt::format("{} is unknown or lacks its value", name), name);
      }
      SPHERE_TRY(row->set(options, arguments[++i]));
    }
  }
  if (find_rom_board(options.protocol) == nullptr) {
    return bad(fmt::format("'{}' is no protocol of a virtual board", options.protocol),
               options.protocol);
  }
  if (options.keys.empty()) {
    return bad("--key is needed: the board would trust nothing", "");
  }
  return options;
}

}  // namespace sphere::virtual_board
