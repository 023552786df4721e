// SPDX-License-Identifier: MIT
#include "cli/net/secret_option.h"

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>

#include <fmt/format.h>

#include "cli/commands/command.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"

namespace sphere::cli {

Result<std::string> secret_option(const Arguments& arguments, std::string_view name) {
  constexpr std::size_t kLimit = 65536;
  auto value = arguments.value(name).value_or("");
  if (value != "-" && !value.starts_with('@')) {
    return value;
  }
  SPHERE_TRY_ASSIGN(auto text,
                    read_text_file(value == "-" ? "/dev/stdin" : value.substr(1), kLimit));
  if (text.ends_with('\n')) {
    text.pop_back();
  }
  return text;
}

Result<std::int64_t> number_option(const Arguments& arguments, std::string_view name) {
  const auto text = arguments.value(name).value_or("");
  std::int64_t number = -1;
  const char* const end = std::to_address(text.end());
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc{} || stop != end || number < 0) {
    return fail(Errc::invalid_argument, fmt::format("--{} {} is not a number", name, text),
                {.reason = "usage.bad-value", .value = text, .next = "give a whole number"});
  }
  return number;
}

}  // namespace sphere::cli
