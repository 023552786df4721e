// SPDX-License-Identifier: MIT
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "sphere/json/value.h"

namespace {

namespace json = sphere::json;

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

// Every source range lies in the text and, for a scalar, is exactly that value.
// NOLINTNEXTLINE(misc-no-recursion): parse() limits the depth.
void check_sources(std::string_view text, const json::Value& value) {
  const auto& source = value.source();
  require(source.offset <= text.size() && source.length <= text.size() - source.offset);
  require(source.line > 0 && source.column > 0);
  if (value.items().empty() && value.members().empty()) {
    require(json::parse(text.substr(source.offset, source.length)) == value);
  }
  for (const auto& item : value.items()) {
    check_sources(text, item);
  }
  for (const auto& member : value.members()) {
    check_sources(text, member.value);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text{data, data + size};
  static_cast<void>(json::parse(text, {.allow_comments = true}));
  const auto value = json::parse(text);
  if (!value) {
    return 0;
  }
  require(nlohmann::json::accept(text));
  check_sources(text, *value);
  const auto compact = json::to_compact(*value);
  const auto again = json::parse(compact);
  require(again.has_value() && *again == *value && json::to_compact(*again) == compact);
  require(json::parse(json::to_pretty(*value)) == *value);
  return 0;
}
