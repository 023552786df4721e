// SPDX-License-Identifier: MIT
#include "cli/commands/build_identity.h"

#include <charconv>
#include <cstdint>
#include <ctime>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "cli/commands/command.h"
#include "cli/context.h"
#include "cli/environment/variables.h"
#include "sphere/core/guid.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"

namespace sphere::cli {
namespace {

std::optional<std::uint64_t> read_number(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) {
    return std::nullopt;
  }
  return number;
}

std::optional<std::uint64_t> read_time(const std::string& text) {
  std::tm parts = {};
  const char* end = ::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  if (end == nullptr || *end != '\0') {
    return read_number(text);
  }
  const auto seconds = ::timegm(&parts);
  return seconds < 0 ? std::nullopt : std::optional{static_cast<std::uint64_t>(seconds)};
}

tl::unexpected<Error> bad_value(std::string_view option, const std::string& value,
                                std::string_view example) {
  return fail(Errc::invalid_argument,
              fmt::format("{} has a value that it cannot have: {}", option, escape_control(value)),
              {.reason = "usage.bad-value",
               .value = value,
               .next = fmt::format("write it as {}", example)});
}

}  // namespace

Result<BuildIdentity> read_build_identity(const Context& context, const Arguments& arguments) {
  BuildIdentity identity{.build_time = static_cast<std::uint64_t>(context.clock.unix_seconds())};
  if (const auto epoch = variable("SOURCE_DATE_EPOCH")) {
    const auto time = read_number(*epoch);
    if (!time) {
      return bad_value("SOURCE_DATE_EPOCH", *epoch, "Unix seconds, 1735689600");
    }
    identity.build_time = *time;
    identity.reproducible = true;
  }
  if (const auto date = arguments.value("build-date")) {
    const auto time = read_time(*date);
    if (!time) {
      return bad_value("--build-date", *date, "2026-07-31T00:00:00Z, or as Unix seconds");
    }
    identity.build_time = *time;
  }
  if (const auto id = arguments.value("image-id")) {
    identity.image_id = Guid::parse(*id);
    if (!identity.image_id) {
      return bad_value("--image-id", *id, "00112233-4455-6677-8899-aabbccddeeff");
    }
  }
  return identity;
}

}  // namespace sphere::cli
