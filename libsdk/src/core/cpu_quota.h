// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string_view>

namespace sphere {

// Processors that the control group of this process may keep busy, rounded up; the least of the
// group and those above it, nothing if none has a limit. `root` is where the cgroup v2 file system
// is mounted, `membership` the text of /proc/self/cgroup.
[[nodiscard]] std::optional<std::size_t> cpu_quota(const std::filesystem::path& root,
                                                   std::string_view membership);

}  // namespace sphere
