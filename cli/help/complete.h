// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace sphere::cli {

// What the shell's completion shows for the line `words`, whose last word is not complete ("" when
// a new one begins): one candidate a line, with a tab and its help behind it where there is any.
// ":files" stands for names of files. Nothing but the names in `boards` is read: no configuration,
// no device, no network.
[[nodiscard]] std::string complete(const std::vector<std::string>& words,
                                   const std::filesystem::path& boards);

}  // namespace sphere::cli
