// SPDX-License-Identifier: MIT
#include "libsdk/src/manifest/pins.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <map>
#include <memory>
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
constexpr std::array<PinRange, 9> kBlocks = {
    {{.name = "ISU0", .first = 26, .last = 30},
     {.name = "ISU1", .first = 31, .last = 35},
     {.name = "ISU2", .first = 36, .last = 40},
     {.name = "ISU3", .first = 66, .last = 70},
     {.name = "ISU4", .first = 71, .last = 75},
     {.name = "PWM-CONTROLLER-0", .first = 0, .last = 3},
     {.name = "PWM-CONTROLLER-1", .first = 4, .last = 7},
     {.name = "PWM-CONTROLLER-2", .first = 8, .last = 11},
     {.name = "ADC-CONTROLLER-0", .first = 41, .last = 48}}};

constexpr std::string_view kIsu = "ISU";

constexpr std::array<PinRange, 4> kUsable = {{{.name = "", .first = 0, .last = 23},
                                              {.name = "", .first = 26, .last = 48},
                                              {.name = "", .first = 56, .last = 75},
                                              {.name = "", .first = 80, .last = 80}}};

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
    const char* const end = std::to_address(value.end());
    const auto [stop, error] = std::from_chars(std::to_address(value.begin()), end, pin);
    if (error != std::errc{} || stop != end) {
      return std::nullopt;
    }
    return PinRange{.name = value, .first = pin, .last = pin};
  }
  const auto* const found =
      std::ranges::find_if(kBlocks, [&](const PinRange& block) { return block.name == value; });
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
  return std::ranges::any_of(
      kUsable, [pin](const PinRange& range) { return pin >= range.first && pin <= range.last; });
}

bool is_known_peripheral(std::string_view key, std::string_view value) {
  const auto family = family_of(key);
  return !family.empty() && value.starts_with(family) && pins_of(key, value).has_value();
}

}  // namespace sphere::manifest
