// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sphere::recovery {

// "ESP32-C3", by the id that the chip tells.
[[nodiscard]] std::string esp_chip_name(std::uint32_t id);
// The id of a chip that tells none, by a word of its ROM; nothing for any other.
[[nodiscard]] std::optional<std::uint32_t> esp_chip_of_magic(std::uint32_t value);
inline constexpr std::uint32_t kEsp8266Magic = 0xFFF0C101;

// Why a command was refused.
[[nodiscard]] std::string esp_reason(std::uint8_t reason);

// Why a loader was not reached, from what the chip said instead.
[[nodiscard]] std::string esp_why_no_loader(std::string_view text);

}  // namespace sphere::recovery
