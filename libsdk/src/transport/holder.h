// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>
#include <string>

namespace sphere::transport {

// "process 123 (name)" that has `file` open, other than this one, as far as this user may see it;
// else "another process".
[[nodiscard]] std::string holder_of(const std::filesystem::path& file);

}  // namespace sphere::transport
