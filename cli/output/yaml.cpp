// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include "cli/output/render.h"
#include "sphere/core/text.h"
#include "sphere/json/value.h"

namespace sphere::cli {
namespace {

// Words that a YAML 1.1 or 1.2 reader takes for something else than a string.
constexpr std::array<std::string_view, 12> kWords = {"null", "true", "false", "yes",  "no",   "on",
                                                     "off",  "y",    "n",     ".nan", ".inf", "~"};

// Plain is safe for what cannot be a number, a word above, or have a meaning in block style.
bool is_plain(std::string_view text) {
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  const auto is_safe = [&](char c) {
    return is_letter(c) || (c >= '0' && c <= '9') ||
           std::string_view{" _-./+@"}.find(c) != std::string_view::npos;
  };
  return !text.empty() && (is_letter(text.front()) || text.front() == '_') && text.back() != ' ' &&
         std::ranges::all_of(text, is_safe) &&
         std::ranges::find(kWords, to_lower(text)) == kWords.end();
}

std::string scalar(const json::Value& value) {
  const std::string* text = value.string();
  if (text == nullptr) {
    return json::to_compact(value);
  }
  return is_plain(*text) ? *text : json::quote(*text);
}

bool is_block(const json::Value& value) {
  return !value.items().empty() || !value.members().empty();
}

std::string block(const json::Value& value, std::size_t indent);

// What follows "key:" or "-": a scalar on the same line or a block below.
std::string entry(const json::Value& value, std::size_t indent) {
  return is_block(value) ? "\n" + block(value, indent) : " " + scalar(value) + "\n";
}

std::string block(const json::Value& value, std::size_t indent) {
  const std::string blanks(indent, ' ');
  std::string result;
  for (const json::Member& member : value.members()) {
    result += blanks + scalar(json::Value{member.key}) + ":" + entry(member.value, indent + 2);
  }
  for (const json::Value& item : value.items()) {
    // The first line of an object stands beside its dash.
    std::string text = is_block(item) ? block(item, indent + 2) : scalar(item) + "\n";
    if (is_block(item)) {
      text.erase(0, indent + 2);
    }
    result += blanks + "- " + text;
  }
  return result;
}

}  // namespace

std::string to_yaml(const json::Value& value) {
  return is_block(value) ? block(value, 0) : scalar(value) + "\n";
}

}  // namespace sphere::cli
