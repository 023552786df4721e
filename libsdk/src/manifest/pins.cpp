// SPDX-License-Identifier: MIT
#include "libsdk/src/manifest/pins.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#include <fmt/format.h>

namespace sphere::manifest {
namespace {

struct PinRange {
  std::string_view name;
  std::int64_t first, last;
};

// MT3620 hardware: the pins of each peripheral block. The last pin of an ISU is the second chip
// select: it stays free unless the ISU is an SPI master. Public samples for the Seeed MDB use ISU0
// as a UART beside a button on GPIO 30.
constexpr std::array<PinRange, 9> kBlocks = {{{"ISU0", 26, 30},
                                              {"ISU1", 31, 35},
                                              {"ISU2", 36, 40},
                                              {"ISU3", 66, 70},
                                              {"ISU4", 71, 75},
                                              {"PWM-CONTROLLER-0", 0, 3},
                                              {"PWM-CONTROLLER-1", 4, 7},
                                              {"PWM-CONTROLLER-2", 8, 11},
                                              {"ADC-CONTROLLER-0", 41, 48}}};

constexpr std::string_view kIsu = "ISU";

constexpr std::array<PinRange, 4> kUsable = {
    {{"", 0, 23}, {"", 26, 48}, {"", 56, 75}, {"", 80, 80}}};

// What the names under `key` begin with; "" for a key without blocks of pins.
std::string_view family_of(std::string_view key) {
  if (key == "Pwm") {
    return "PWM-CONTROLLER-";
  }
  if (key == "Adc") {
    return "ADC-CONTROLLER-";
  }
  return key == "Uart" || key == "I2cMaster" || key == "SpiMaster" ? kIsu : "";
}

std::optional<PinRange> pins_of(std::string_view key, std::string_view value) {
  if (key == "Gpio") {
    std::int64_t pin = 0;
    const auto [stop, error] = std::from_chars(value.data(), value.data() + value.size(), pin);
    if (error != std::errc{} || stop != value.data() + value.size()) {
      return std::nullopt;
    }
    return PinRange{.name = value, .first = pin, .last = pin};
  }
  const auto* const found = std::find_if(
      kBlocks.begin(), kBlocks.end(), [&](const PinRange& block) { return block.name == value; });
  if (found == kBlocks.end()) {
    return std::nullopt;
  }
  auto pins = *found;
  pins.last -= family_of(key) == kIsu && key != "SpiMaster" ? 1 : 0;
  return pins;
}

}  // namespace

std::optional<std::string> PinMap::claim(std::string_view key, std::string_view value) {
  const auto pins = pins_of(key, value);
  if (!pins) {
    return std::nullopt;
  }
  const auto self = fmt::format("{} {}", key, value);
  for (auto pin = pins->first; pin <= pins->last; ++pin) {
    const auto owner = owners_.find(pin);
    if (owner != owners_.end() && owner->second != self) {
      return fmt::format("{} (GPIO {})", owner->second, pin);
    }
  }
  for (auto pin = pins->first; pin <= pins->last; ++pin) {
    owners_.emplace(pin, self);
  }
  return std::nullopt;
}

bool is_usable_pin(std::int64_t pin) {
  return std::any_of(kUsable.begin(), kUsable.end(), [pin](const PinRange& range) {
    return pin >= range.first && pin <= range.last;
  });
}

bool is_known_peripheral(std::string_view key, std::string_view value) {
  const auto family = family_of(key);
  return !family.empty() && value.starts_with(family) && pins_of(key, value).has_value();
}

}  // namespace sphere::manifest
