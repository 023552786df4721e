// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "sphere/core/result.h"

namespace sphere::project {

// A place in a program's sources.
struct SourcePlace {
  std::string function = {};  // Empty: not known.
  std::string file = {};      // Empty: not known.
  std::string line = {};      // A number, or empty.
};

// "step_on (probe.c:17)", with the last part of the file's path; empty when nothing is known.
[[nodiscard]] std::string to_text(const SourcePlace& place);

struct SourceRequest {
  std::filesystem::path program;  // With its symbols, as the build leaves it.
  std::string build_id = {};      // Of the program that ran; empty: not compared.
  std::uint64_t offset = 0;       // In the file, as a crash record has it.
  std::filesystem::path sdk_directory = {};
};

// Asks addr2line, that of the SDK's sysroot or of the machine, which line of the sources a place in
// a program's file is. Errors: not_found (program, tool, or no code at that offset), unverified
// (the program is another build than the one that ran), corrupt (no ELF file), io, timeout.
[[nodiscard]] Result<SourcePlace> find_source(const SourceRequest& request);

// Folder of the newest sysroot of an SDK, or empty.
[[nodiscard]] std::filesystem::path newest_sysroot(const std::filesystem::path& sdk_directory);

}  // namespace sphere::project
