// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sphere/json/value.h"
#include "sphere/manifest/manifest.h"

namespace sphere::manifest {

// Names of the numbered errors, category 2; "" for a number that is not in use.
[[nodiscard]] std::string_view error_name(std::uint32_t id);

// A place in the manifest: its JSON pointer, and where it stands in the text.
struct Place {
  std::string pointer;
  json::Source source;

  [[nodiscard]] Place member(const json::Member& member) const;  // The key's place.
  [[nodiscard]] Place member(std::string_view key) const;        // A missing one: this place.
  [[nodiscard]] Place item(std::size_t index, const json::Value& value) const;
};

// Collects findings while a manifest is read.
class Findings {
 public:
  void error(std::uint32_t id, const Place& place, std::string message, std::string hint = {});
  // An error of another category.
  void error(std::uint32_t category, std::uint32_t id, std::string_view rule, const Place& place,
             std::string message, std::string hint = {});
  void warn(std::string_view rule, const Place& place, std::string message, std::string hint = {});

  // In source order.
  [[nodiscard]] std::vector<Finding> take();

 private:
  void add(Finding finding, const Place& place);
  std::vector<Finding> list_;
};

// A value as messages show it: scalars as written (cut), "a list", "an object".
[[nodiscard]] std::string shown(const json::Value& value);
// Text in quotes, control characters escaped, cut to 64 bytes.
[[nodiscard]] std::string quoted(std::string_view text);

// The known word that `word` may be meant to be, in the form 'did you mean "Gpio"?'; or "".
[[nodiscard]] std::string suggestion(std::string_view word, std::span<const std::string> known);

}  // namespace sphere::manifest
