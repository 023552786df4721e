// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sphere {

// `text` with control characters (also DEL and C1) and invalid UTF-8 written as \xNN, and
// backslash kept: for strings of devices, packages and services before they reach a terminal.
[[nodiscard]] std::string escape_control(std::string_view text);

[[nodiscard]] bool is_valid_utf8(std::string_view text);

// ASCII only; other bytes stay.
[[nodiscard]] std::string to_lower(std::string_view text);

[[nodiscard]] std::string_view trim(
    std::string_view text);  // Blanks, tabs, CR and LF at both ends.

// Cuts `text` to at most `bytes` bytes without splitting a UTF-8 character.
[[nodiscard]] std::string_view cut_utf8(std::string_view text, std::size_t bytes);

[[nodiscard]] std::vector<std::string> split(std::string_view text, char separator);

[[nodiscard]] std::string join(std::span<const std::string> parts, std::string_view separator);

// Number with groups of three: 16596 gives "16,596".
[[nodiscard]] std::string with_thousands(std::size_t number);

// Up to `count` of `candidates` at Levenshtein distance <= `distance`, nearest first.
[[nodiscard]] std::vector<std::string> nearest(std::string_view word,
                                               std::span<const std::string> candidates,
                                               std::size_t count = 3, std::size_t distance = 2);

}  // namespace sphere
