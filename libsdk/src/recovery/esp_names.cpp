// SPDX-License-Identifier: MIT
#include "libsdk/src/recovery/esp_names.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "sphere/core/text.h"

namespace sphere::recovery {

namespace {

struct Chip {
  std::uint32_t id;
  std::string_view name;
};
constexpr auto kChips = std::to_array<Chip>({{0, "ESP32"},
                                             {2, "ESP32-S2"},
                                             {5, "ESP32-C3"},
                                             {9, "ESP32-S3"},
                                             {12, "ESP32-C2"},
                                             {13, "ESP32-C6"},
                                             {16, "ESP32-H2"},
                                             {18, "ESP32-P4"},
                                             {20, "ESP32-C61"},
                                             {23, "ESP32-C5"}});
// Chips that know no command 14, by a word of their ROM.
constexpr auto kMagics =
    std::to_array<std::pair<std::uint32_t, std::uint32_t>>({{0x00F01D83, 0}, {0x000007C6, 2}});
constexpr auto kReasons = std::to_array<std::string_view>(
    {"no reason", "a wrong parameter", "no memory", "sending failed", "receiving failed",
     "an unknown command or form", "it failed", "a wrong check sum", "writing the flash failed",
     "reading the flash failed", "a wrong length for reading", "inflating failed",
     "a wrong Adler-32", "a wrong parameter for inflating", "a wrong size for RAM",
     "a wrong address for RAM"});

}  // namespace

std::string esp_reason(std::uint8_t reason) {
  return reason < kReasons.size() ? std::string{kReasons.at(reason)}
                                  : fmt::format("reason {:02X}", reason);
}

std::string esp_chip_name(std::uint32_t id) {
  const auto* const chip =
      std::find_if(kChips.begin(), kChips.end(), [&](const Chip& known) { return known.id == id; });
  return chip == kChips.end() ? fmt::format("ESP chip {}", id) : std::string{chip->name};
}

std::optional<std::uint32_t> esp_chip_of_magic(std::uint32_t value) {
  const auto* const known = std::find_if(kMagics.begin(), kMagics.end(),
                                         [&](const auto& magic) { return magic.first == value; });
  return known == kMagics.end() ? std::nullopt : std::optional{known->second};
}

std::string esp_why_no_loader(std::string_view text) {
  const auto boot = text.find("boot:0x");
  if (boot == std::string::npos) {
    return text.empty() ? "the chip's loader does not answer"
                        : "the chip's loader does not answer; it said \"" +
                              escape_control(text.substr(0, 64)) + "\"";
  }
  constexpr std::size_t kModeLength = 32;
  auto mode = text.substr(boot, kModeLength);
  mode = mode.substr(0, mode.find_first_of("\r\n"));
  const bool waits = text.find("waiting for download", boot) != std::string::npos;
  return fmt::format("{} ({})",
                     waits
                         ? "the chip waits in its loader but does not hear: check its RX line"
                         : "the chip started its firmware, so its BOOT strap was not low at reset",
                     escape_control(mode));
}

}  // namespace sphere::recovery
