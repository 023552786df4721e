// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>
#include <string>

#include "sphere/core/result.h"
#include "sphere/hardware/definition.h"

namespace sphere::hardware {

// The C header of a definition, LF line ends.
[[nodiscard]] std::string header_text(const Definition& definition);

// <folder of the definition>/inc/hw/<name>.h
[[nodiscard]] std::filesystem::path header_path(const std::filesystem::path& definition);

struct HeaderComparison {
  bool up_to_date = false;
  std::string difference = {};  // Unified diff, empty when up to date.
};

// Compares the header on disk with header_text(); '\' and '/' in include lines and CRLF count as
// equal. Errors: not_found when there is no header; those of read_file().
[[nodiscard]] Result<HeaderComparison> compare_header(const Definition& definition);

}  // namespace sphere::hardware
