// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <string_view>

#include "sphere/core/reader.h"
#include "sphere/core/text.h"

namespace sphere::image {

// For payloads whose length has been checked: a value that is missing would be our own bug.
template <typename Int>
[[nodiscard]] Int take(Reader& reader) {
  return reader.little_endian<Int>().value_or(Int{0});
}

template <std::size_t kSize>
void take_bytes(Reader& reader, std::array<std::byte, kSize>& bytes) {
  if (const auto taken = reader.bytes(kSize)) {
    std::ranges::copy(*taken, bytes.begin());
  }
}

[[nodiscard]] inline std::string_view as_text(std::span<const std::byte> bytes) {
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): bytes seen as characters.
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// UTF-8 without control characters.
[[nodiscard]] inline bool is_plain_text(std::string_view text) {
  return is_valid_utf8(text) && escape_control(text).size() == text.size();
}

}  // namespace sphere::image
