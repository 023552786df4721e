// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>
#include <string_view>

#include "sphere/core/result.h"

namespace sphere::device {

// Where the sockets of the board in `board` are or will be: <runtime>/boards/<name>. A path that
// is too long for a socket address (108 bytes), or no runtime directory at all, gives a short
// directory in /tmp, whose path stands in the board's file `runtime-directory`.
[[nodiscard]] std::filesystem::path find_runtime_directory(const std::filesystem::path& runtime,
                                                           const std::filesystem::path& board,
                                                           std::string_view name);

// Makes it, 0700, and checks that it belongs to this user and is open to nobody else. Errors:
// permission (somebody else made it), as system_error().
[[nodiscard]] Result<std::filesystem::path> make_runtime_directory(
    const std::filesystem::path& runtime, const std::filesystem::path& board,
    std::string_view name);

}  // namespace sphere::device
