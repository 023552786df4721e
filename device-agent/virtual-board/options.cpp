// SPDX-License-Identifier: MIT
#include "device-agent/virtual-board/options.h"

#include <array>
#include <charconv>
#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "sphere/core/result.h"

namespace sphere::virtual_board {
namespace {

tl::unexpected<Error> bad(std::string message, std::string_view value) {
  return fail(Errc::invalid_argument, std::move(message),
              {.reason = "usage.bad-value",
               .value = std::string{value},
               .next = "see sphere-board --help"});
}

struct PathOption {
  std::string_view name;
  std::filesystem::path Options::* member;
};

constexpr std::array kPathOptions = {
    PathOption{.name = "--directory", .member = &Options::directory},
    PathOption{.name = "--runtime", .member = &Options::runtime},
    PathOption{.name = "--sdk", .member = &Options::sdk}};

Result<void> apply(Options& options, std::string_view name, std::string_view value) {
  for (const auto& option : kPathOptions) {
    if (option.name == name) {
      std::error_code error;
      options.*option.member = std::filesystem::absolute(value, error);
      return error || value.empty() ? Result<void>{bad(fmt::format("{} needs a path", name), value)}
                                    : Result<void>{};
    }
  }
  if (name != "--ready-fd") {
    return bad(fmt::format("unknown option {}", name), name);
  }
  const auto [end, error] =
      std::from_chars(value.data(), value.data() + value.size(), options.ready_fd);
  if (error != std::errc{} || end != value.data() + value.size() || options.ready_fd < 0) {
    return bad("--ready-fd needs the number of a descriptor", value);
  }
  return {};
}

}  // namespace

Result<Options> parse_options(std::span<const char* const> arguments) {
  Options options;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string_view name{arguments[i]};
    if (name == "--help") {
      options.help = true;
      return options;
    }
    if (i + 1 == arguments.size()) {
      return bad(fmt::format("{} is unknown or lacks its value", name), name);
    }
    SPHERE_TRY(apply(options, name, arguments[++i]));
  }
  if (options.directory.empty() || options.runtime.empty()) {
    return bad("--directory and --runtime are needed", "");
  }
  return options;
}

}  // namespace sphere::virtual_board
