// SPDX-License-Identifier: MIT
#include "libsdk/src/core/cpu_quota.h"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string_view>
#include <system_error>

#include "sphere/core/file.h"

namespace sphere {
namespace {

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const char* end = text.data() + text.size();
  // NOLINTNEXTLINE(bugprone-suspicious-stringview-data-usage): `end` is the size information.
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || stop != end) {
    return std::nullopt;
  }
  return value;
}

// cpu.max of cgroup v2: "<quota> <period>", both in microseconds, or "max <period>".
std::optional<std::size_t> processors_of(std::string_view cpu_max) {
  cpu_max = cpu_max.substr(0, cpu_max.find('\n'));
  const std::size_t space = cpu_max.find(' ');
  if (space == std::string_view::npos) {
    return std::nullopt;
  }
  const auto quota = number(cpu_max.substr(0, space));
  const auto period = number(cpu_max.substr(space + 1));
  if (!quota || !period || *period == 0) {
    return std::nullopt;  // "max", or not as documented: no limit that we know.
  }
  return static_cast<std::size_t>((*quota / *period) + (*quota % *period != 0 ? 1 : 0));
}

// The group's path in the unified hierarchy: the line "0::/path".
std::optional<std::string_view> group_path(std::string_view membership) {
  while (!membership.empty()) {
    const std::size_t end = std::min(membership.find('\n'), membership.size());
    const std::string_view line = membership.substr(0, end);
    if (line.starts_with("0::/")) {
      return line.substr(4);
    }
    membership.remove_prefix(std::min(end + 1, membership.size()));
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::size_t> cpu_quota(const std::filesystem::path& root,
                                     std::string_view membership) {
  constexpr std::size_t kSizeLimit = 4096;
  const auto path = group_path(membership);
  if (!path) {
    return std::nullopt;
  }
  std::optional<std::size_t> least;
  for (std::filesystem::path group = *path;; group = group.parent_path()) {
    const auto text = read_text_file(root / group / "cpu.max", kSizeLimit);
    if (const auto here = text ? processors_of(*text) : std::nullopt) {
      least = std::min(*here, least.value_or(*here));
    }
    if (group.empty()) {
      return least;
    }
  }
}

}  // namespace sphere
