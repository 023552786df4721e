// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sphere {

// Lower-case hexadecimal, two digits a byte.
[[nodiscard]] std::string to_hex(std::span<const std::byte> bytes);

// Reads hexadecimal of either case; nothing for an odd length or another character.
[[nodiscard]] std::optional<std::vector<std::byte>> from_hex(std::string_view text);

// Base64 of RFC 4648 section 4, with padding, without line breaks.
[[nodiscard]] std::string to_base64(std::span<const std::byte> bytes);

// Reads base64 as to_base64() writes it: padded, no white space, unused bits zero. Nothing
// otherwise.
[[nodiscard]] std::optional<std::vector<std::byte>> from_base64(std::string_view text);

}  // namespace sphere
