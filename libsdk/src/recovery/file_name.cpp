// SPDX-License-Identifier: MIT
#include <algorithm>
#include <string_view>

#include "sphere/recovery/v2_messages.h"

namespace sphere::recovery::v2 {

namespace {

constexpr bool is_name_character(char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '.' ||
         c == '_' || c == '-';
}

}  // namespace

bool is_file_name(std::string_view name) {
  return !name.empty() && name.size() <= kNameLimit && name.front() != '.' &&
         std::ranges::all_of(name, is_name_character);
}

}  // namespace sphere::recovery::v2
