// SPDX-License-Identifier: MIT
#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace sphere::test {

// The bytes that a line of hexadecimal digits with blanks shows: "45 C0 DB 00".
inline std::vector<std::byte> from_hex(std::string_view text) {
  std::vector<std::byte> bytes;
  while (!text.empty()) {
    if (text.front() == ' ') {
      text.remove_prefix(1);
      continue;
    }
    constexpr int kHexadecimal = 16;
    std::uint8_t byte = 0;
    std::from_chars(text.data(), text.data() + 2, byte, kHexadecimal);
    bytes.push_back(std::byte{byte});
    text.remove_prefix(2);
  }
  return bytes;
}

}  // namespace sphere::test
