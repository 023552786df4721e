// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "libsdk/src/manifest/findings.h"
#include "sphere/json/value.h"
#include "sphere/manifest/manifest.h"

namespace sphere::manifest {

// A manifest while it is read. The rules fill `manifest` and report to `findings`.
struct Draft {
  Reader reader = Reader::packer;
  Manifest manifest = {};
  Findings findings = {};
};

struct KeyRule;
// Reads the value of one key. `place` is the key's.
using ReadKey = void (*)(Draft& draft, const KeyRule& rule, const Place& place,
                         const json::Value& value);

// One key of an object: what reads it, and the number of its error.
struct KeyRule {
  std::string_view key;
  std::uint32_t error;  // When the value has another form.
  ReadKey read;
  std::uint32_t missing = 0;      // Error when the key is not there; 0: it is optional.
  std::string_view example = {};  // For the hint: a value of the right form.
  bool high_level = true;         // Has an effect in high-level apps.
  bool real_time = true;          // Has an effect in real-time apps.
};

[[nodiscard]] std::span<const KeyRule> top_level_rules();
// Those of "Capabilities", by subject; capabilities.cpp has the rest and puts them together.
[[nodiscard]] std::span<const KeyRule> peripheral_rules();
[[nodiscard]] std::span<const KeyRule> connection_rules();

// Reports entries of "Capabilities" that share a pin.
void check_pins(Draft& draft, const Place& place, const json::Value& capabilities);

// The object of "Capabilities".
void read_capabilities(Draft& draft, const KeyRule& rule, const Place& place,
                       const json::Value& value);

// Reports '"Key" is 7, not a list of strings' under the rule's number.
void report_form(Draft& draft, const KeyRule& rule, const Place& place, const json::Value& value,
                 std::string_view form);

// Calls `read` of the row that has the key for each member, and `unknown` for the others.
void read_members(Draft& draft, std::span<const KeyRule> rules, const Place& place,
                  const json::Value& object,
                  void (*unknown)(Draft& draft, const Place& place, const json::Member& member));

}  // namespace sphere::manifest
