// SPDX-License-Identifier: MIT
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "sphere/core/file.h"
#include "sphere/core/result.h"
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

std::string_view to_text(BoardState state) {
  constexpr std::array<std::string_view, 3> kNames{"stopped", "starting", "running"};
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
  return BoardConfig{.name = *name,
                     .board_id = *board_id,
                     .profile = *profile,
                     .port = static_cast<std::uint16_t>(*port),
                     .trust_public_test_key = *trust};
}

Result<void> store_board_config(const std::filesystem::path& directory, const BoardConfig& config) {
  json::Value value;
  value.set("name", config.name)
      .set("boardId", config.board_id)
      .set("profile", to_text(config.profile))
      .set("port", static_cast<std::int64_t>(config.port))
      .set("trustPublicTestKey", config.trust_public_test_key);
  return write_file(directory / kFile, json::to_pretty(value) + "\n", {.mode = 0600});
}

}  // namespace sphere::device
