// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <set>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "libsdk/src/manifest/findings.h"
#include "libsdk/src/manifest/rules.h"
#include "sphere/json/value.h"

namespace sphere::manifest {

// Calls `read` for each item of a list and warns of the ones that stand in it before. Reports any
// other value.
template <typename ReadItem>
void read_list(Draft& draft, const KeyRule& rule, const Place& place, const json::Value& value,
               std::string_view form, const ReadItem& read) {
  if (value.kind() != json::Kind::array) {
    report_form(draft, rule, place, value, form);
    return;
  }
  std::set<std::string> seen;
  for (std::size_t i = 0; i < value.items().size(); ++i) {
    const auto& item = value.items()[i];
    const auto here = place.item(i, item);
    if (!seen.insert(json::to_compact(item)).second) {
      draft.findings.warn("DuplicateEntry", here,
                          fmt::format("{} stands twice in \"{}\"", shown(item), rule.key),
                          "remove one");
    }
    read(item, here);
  }
}

}  // namespace sphere::manifest
