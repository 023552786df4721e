// SPDX-License-Identifier: MIT
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/device/virtual_board.h"
#include "sphere/json/value.h"

namespace sphere::device {

namespace {

constexpr std::string_view kFile = "board.json";
constexpr std::size_t kFileLimit = std::size_t{64} * 1024;

tl::unexpected<Error> bad_key(const std::filesystem::path& file, std::string_view key) {
  return fail(Errc::corrupt, fmt::format("{}: the key {} is missing or wrong", file.string(), key),
              {.reason = "local.file-unreadable",
               .value = file.string(),
               .next = "delete the board and create it anew"});
}

}  // namespace

std::string_view to_text(BoardProfile profile) {
  return profile == BoardProfile::production ? "production" : "development";
}

Result<BoardProfile> parse_board_profile(std::string_view text) {
  for (const auto profile : {BoardProfile::development, BoardProfile::production}) {
    if (to_text(profile) == text) {
      return profile;
    }
  }
  return fail(Errc::invalid_argument, fmt::format("no profile is named {}", text),
              {.reason = "usage.bad-value",
               .value = std::string{text},
               .next = "use development or production"});
}

Result<void> check_service_uart(const BoardConfig& config) {
  constexpr std::string_view kTcp = "tcp:";
  const auto refuse = [](std::string_view option, const std::string& value, std::string next) {
    return fail(Errc::invalid_argument, fmt::format("{} {} has no known form", option, value),
                {.reason = "usage.bad-value", .value = value, .next = std::move(next)});
  };
  const std::string_view place{config.service_uart};
  const auto is_number = [](std::string_view text, std::uint32_t largest) {
    std::uint32_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return !text.empty() && error == std::errc{} && end == text.data() + text.size() &&
           number <= largest;
  };
  if (!place.empty() && place != "pty" &&
      !(place.starts_with(kTcp) &&
        is_number(place.substr(kTcp.size()), std::numeric_limits<std::uint16_t>::max()))) {
    return refuse("--service-uart", config.service_uart, "write pty or tcp:PORT");
  }
  for (const std::string& part : split(config.service_faults, ',')) {
    const auto mark = part.find('=');
    const std::string name = part.substr(0, mark);
    constexpr std::uint32_t kMillion = 1'000'000;
    if (!config.service_faults.empty() &&
        ((name != "drop" && name != "flip" && name != "seed") || mark == std::string::npos ||
         !is_number(std::string_view{part}.substr(mark + 1), kMillion))) {
      return refuse("--service-faults", config.service_faults,
                    "write drop=N,flip=N (per million bytes),seed=N");
    }
  }
  return {};
}

std::string_view to_text(BoardState state) {
  constexpr std::array<std::string_view, 4> kNames{"stopped", "starting", "running", "recovery"};
  return kNames.at(static_cast<std::size_t>(state));
}

Result<BoardConfig> load_board_config(const std::filesystem::path& directory) {
  const auto file = directory / kFile;
  SPHERE_TRY_ASSIGN(const std::string text, read_text_file(file, kFileLimit));
  auto value = json::parse(text);
  if (!value) {
    return tl::make_unexpected(std::move(value).error().while_doing(file.string()));
  }
  const auto name = value->string_at("name");
  const auto board_id = value->string_at("boardId");
  const auto profile = parse_board_profile(value->string_at("profile").value_or(""));
  const auto port = value->integer_at("port");
  const auto trust = value->boolean_at("trustPublicTestKey");
  if (!name || !board_id) {
    return bad_key(file, name ? "boardId" : "name");
  }
  if (!profile || !trust) {
    return bad_key(file, profile ? "trustPublicTestKey" : "profile");
  }
  if (!port || *port < 0 || *port > std::numeric_limits<std::uint16_t>::max()) {
    return bad_key(file, "port");
  }
  return BoardConfig{
      .name = *name,
      .board_id = *board_id,
      .profile = *profile,
      .port = static_cast<std::uint16_t>(*port),
      .trust_public_test_key = *trust,
      .service_uart = value->string_at("serviceUart").value_or(""),
      .service_baud = static_cast<std::uint32_t>(value->integer_at("serviceBaud").value_or(0)),
      .service_faults = value->string_at("serviceFaults").value_or("")};
}

Result<void> store_board_config(const std::filesystem::path& directory, const BoardConfig& config) {
  json::Value value;
  value.set("name", config.name)
      .set("boardId", config.board_id)
      .set("profile", to_text(config.profile))
      .set("port", static_cast<std::int64_t>(config.port))
      .set("trustPublicTestKey", config.trust_public_test_key);
  if (!config.service_uart.empty() || config.service_baud != 0 || !config.service_faults.empty()) {
    value.set("serviceUart", config.service_uart)
        .set("serviceBaud", static_cast<std::int64_t>(config.service_baud))
        .set("serviceFaults", config.service_faults);
  }
  return write_file(directory / kFile, json::to_pretty(value) + "\n", {.mode = 0600});
}

}  // namespace sphere::device
