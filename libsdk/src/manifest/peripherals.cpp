// SPDX-License-Identifier: MIT
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "libsdk/src/manifest/findings.h"
#include "libsdk/src/manifest/lists.h"
#include "libsdk/src/manifest/pins.h"
#include "libsdk/src/manifest/rules.h"
#include "sphere/json/value.h"
#include "sphere/manifest/manifest.h"

namespace sphere::manifest {
namespace {

// Checks a "$NAME"; false when the text is none.
bool read_name(Draft& draft, const KeyRule& rule, const Place& place, std::string_view text) {
  if (!text.starts_with('$')) {
    return false;
  }
  if (text.size() == 1) {
    draft.findings.error(rule.error, place, "'$' stands without a name",
                         "write the name of a peripheral behind it");
  } else if (draft.reader == Reader::device) {
    draft.findings.error(rule.error, place,
                         fmt::format("{} was not replaced by a peripheral", shown(text)),
                         "pack the app with its hardware definition");
  }
  return true;
}

void read_pin(Draft& draft, const KeyRule& rule, const Place& place, const json::Value& item) {
  if (const auto* const text = item.string(); text != nullptr) {
    if (!read_name(draft, rule, place, *text)) {
      draft.findings.error(rule.error, place,
                           fmt::format("{} is neither a pin number nor a $NAME", quoted(*text)),
                           "write a pin as a number without quotes");
      return;
    }
    draft.manifest.capabilities.gpio.push_back({.text = *text});
    return;
  }
  const auto pin = item.integer();
  if (!pin || *pin < 0) {
    draft.findings.error(rule.error, place,
                         fmt::format("{} is neither a pin number nor a $NAME", shown(item)),
                         "write an integer from 0 on, or \"$NAME\"");
    return;
  }
  if (!is_usable_pin(*pin)) {
    draft.findings.warn("PinNotAvailable", place,
                        fmt::format("the chip has no GPIO {} for apps", *pin),
                        "pins are 0-23, 26-48, 56-75 and 80");
  }
  draft.manifest.capabilities.gpio.push_back({.text = item.number_text(), .number = pin});
}

void read_gpio(Draft& draft, const KeyRule& rule, const Place& place, const json::Value& value) {
  read_list(draft, rule, place, value, "a list of pin numbers or \"$NAME\"s",
            [&](const json::Value& item, const Place& here) { read_pin(draft, rule, here, item); });
}

// Text of an entry that must be a string; empty and anything else are errors.
const std::string* read_text(Draft& draft, const KeyRule& rule, const Place& place,
                             const json::Value& item, std::string_view form) {
  const auto* const text = item.string();
  if (text == nullptr || text->empty()) {
    draft.findings.error(rule.error, place, fmt::format("{} is not {}", shown(item), form),
                         rule.example.empty() ? "" : fmt::format("write {}", rule.example));
    return nullptr;
  }
  return text;
}

template <std::vector<PeripheralRef> Capabilities::* list>
void read_peripherals(Draft& draft, const KeyRule& rule, const Place& place,
                      const json::Value& value) {
  const auto read = [&](const json::Value& item, const Place& here) {
    const auto* const text = read_text(draft, rule, here, item, "the name of a peripheral");
    if (text == nullptr) {
      return;
    }
    if (!read_name(draft, rule, here, *text) && !is_known_peripheral(rule.key, *text)) {
      draft.findings.warn("UnknownPeripheral", here,
                          fmt::format("the chip has no {} {}", rule.key, quoted(*text)),
                          fmt::format("entries look like {}", rule.example));
    }
    (draft.manifest.capabilities.*list).push_back({.text = *text});
  };
  read_list(draft, rule, place, value, "a list of peripheral names", read);
}

template <std::vector<std::string> Capabilities::* list>
void read_names(Draft& draft, const KeyRule& rule, const Place& place, const json::Value& value) {
  const auto read = [&](const json::Value& item, const Place& here) {
    if (const auto* const text = read_text(draft, rule, here, item, "a name")) {
      (draft.manifest.capabilities.*list).push_back(*text);
    }
  };
  read_list(draft, rule, place, value, "a list of names", read);
}

constexpr std::array<KeyRule, 8> kRules = {{
    {.key = "Gpio", .error = 10, .read = read_gpio, .example = "[8, \"$LED\"]"},
    {.key = "Uart",
     .error = 13,
     .read = read_peripherals<&Capabilities::uart>,
     .example = "[\"ISU0\"]"},
    {.key = "I2cMaster",
     .error = 13,
     .read = read_peripherals<&Capabilities::i2c_master>,
     .example = "[\"ISU0\"]"},
    {.key = "SpiMaster",
     .error = 13,
     .read = read_peripherals<&Capabilities::spi_master>,
     .example = "[\"ISU0\"]"},
    {.key = "Pwm",
     .error = 13,
     .read = read_peripherals<&Capabilities::pwm>,
     .example = "[\"PWM-CONTROLLER-0\"]"},
    {.key = "Adc",
     .error = 13,
     .read = read_peripherals<&Capabilities::adc>,
     .example = "[\"ADC-CONTROLLER-0\"]"},
    {.key = "I2sSubordinate",
     .error = 13,
     .read = read_names<&Capabilities::i2s_subordinate>,
     .example = "[\"I2S0\"]",
     .high_level = false},
    {.key = "ExternalInterrupt",
     .error = 13,
     .read = read_names<&Capabilities::external_interrupt>,
     .example = "[\"EINT12\"]",
     .high_level = false},
}};

}  // namespace

std::span<const KeyRule> peripheral_rules() { return kRules; }

namespace {

// What PinMap knows an entry by; "" for a "$NAME" and for what is no peripheral.
std::string pin_text(std::string_view key, const json::Value& item) {
  if (key == "Gpio" && item.kind() == json::Kind::number) {
    return item.number_text();
  }
  const auto* const text = item.string();
  return text != nullptr && is_known_peripheral(key, *text) ? *text : "";
}

}  // namespace

void check_pins(Draft& draft, const Place& place, const json::Value& capabilities) {
  constexpr std::uint32_t kSamePin = 35;
  PinMap pins;
  for (const auto& member : capabilities.members()) {
    const auto list = place.member(member);
    for (std::size_t i = 0; i < member.value.items().size(); ++i) {
      const auto& item = member.value.items()[i];
      const auto text = pin_text(member.key, item);
      if (const auto owner = pins.claim(member.key, text)) {
        draft.findings.error(
            kSamePin, list.item(i, item),
            fmt::format("\"{}\" {} shares a pin with {}", member.key, text, *owner),
            "remove one of the two");
      }
    }
  }
}

}  // namespace sphere::manifest
