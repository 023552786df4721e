// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace sphere::manifest {

// Which entry of the manifest has which pin of the chip. An ISU takes four pins, five as SPI
// master; a PWM or ADC controller takes all of its pins (docs/formats/app-manifest.md has the
// table).
class PinMap {
 public:
  // Claims the pins of `value` (a pin number, "ISU0", "PWM-CONTROLLER-0", ...) under `key`. Returns
  // what stands in the way, "Pwm PWM-CONTROLLER-0 (GPIO 2)", when another entry has one of them. A
  // value that names no known peripheral takes no pin; the same entry again is no conflict.
  [[nodiscard]] std::optional<std::string> claim(std::string_view key, std::string_view value);

 private:
  std::map<std::int64_t, std::string> owners_;
};

// True for the pins that an app can use: 0-23, 26-48, 56-75 and 80.
[[nodiscard]] bool is_usable_pin(std::int64_t pin);

// True when `value` names a peripheral of the chip that fits under `key`: "ISU0" to "ISU4" under
// Uart, I2cMaster and SpiMaster, "PWM-CONTROLLER-0" to "-2", "ADC-CONTROLLER-0".
[[nodiscard]] bool is_known_peripheral(std::string_view key, std::string_view value);

}  // namespace sphere::manifest
