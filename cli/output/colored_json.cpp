// SPDX-License-Identifier: MIT
#include <cstddef>
#include <string>
#include <string_view>

#include "cli/output/render.h"
#include "sphere/json/value.h"

namespace sphere::cli {
namespace {

constexpr std::string_view kKey = "\x1b[34m";
constexpr std::string_view kString = "\x1b[32m";
constexpr std::string_view kOther = "\x1b[36m";
constexpr std::string_view kEnd = "\x1b[0m";

std::string painted(std::string_view color, std::string_view text) {
  return std::string{color}.append(text).append(kEnd);
}

void append(std::string& out, const json::Value& value, std::size_t indent) {
  const std::string inner(indent + 2, ' ');
  std::string_view separator = "\n";
  if (!value.members().empty()) {
    out += "{";
    for (const json::Member& member : value.members()) {
      out.append(separator).append(inner).append(painted(kKey, json::quote(member.key))) += ": ";
      append(out, member.value, indent + 2);
      separator = ",\n";
    }
    out.append("\n").append(indent, ' ') += "}";
    return;
  }
  if (!value.items().empty()) {
    out += "[";
    for (const json::Value& item : value.items()) {
      out.append(separator).append(inner);
      append(out, item, indent + 2);
      separator = ",\n";
    }
    out.append("\n").append(indent, ' ') += "]";
    return;
  }
  const bool is_string = value.kind() == json::Kind::string;
  out += painted(is_string ? kString : kOther, json::to_compact(value));
}

}  // namespace

std::string to_colored_json(const json::Value& value) {
  std::string result;
  append(result, value, 0);
  return result;
}

}  // namespace sphere::cli
