// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <filesystem>
#include <string_view>

#include "cli/commands/command.h"
#include "sphere/core/result.h"

namespace sphere::cli {

// What libsphere_net.so hands out. Program and library are built together: the version and the size
// of what crosses the border must be the same.
struct NetTable {
  const char* version;
  std::size_t context_size;
  const NetCommand* commands;
  std::size_t count;
};

inline constexpr const char* kNetVersion = SPHERE_VERSION;
inline constexpr const char* kNetEntry = "sphere_net_table";

// Opens the library beside `program` (or in ../lib/sphere) and finds the run function of `path`.
// The library stays open until the program ends. Errors: not_found (local.tool-missing), corrupt
// (local.tool-missing) for a library of another version.
[[nodiscard]] Result<Run> load_net_command(const std::filesystem::path& program,
                                           std::string_view path);

}  // namespace sphere::cli

extern "C" __attribute__((visibility("default"))) const sphere::cli::NetTable* sphere_net_table();
