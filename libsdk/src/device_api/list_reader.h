// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "libsdk/src/device_api/object_reader.h"
#include "sphere/core/result.h"
#include "sphere/json/value.h"

namespace sphere::device_api {

// What `reader` found, or its error.
template <typename T>
Result<T> finish(const ObjectReader& reader, T value) {
  SPHERE_TRY(reader.done());
  return value;
}

// Reads each element of the list `key` with `read(element, where)`.
template <typename T, typename Read>
std::vector<T> read_list(ObjectReader& reader, std::string_view key, Read read) {
  std::vector<T> list;
  for (const json::Value& item : reader.array(key)) {
    list.push_back(read(item, reader.where(key) + "[" + std::to_string(list.size()) + "]."));
    if (!reader.ok()) {
      break;
    }
  }
  return list;
}

inline std::vector<std::int64_t> read_integers(ObjectReader& reader, std::string_view key) {
  return read_list<std::int64_t>(reader, key, [&](const json::Value& item, const std::string&) {
    if (!item.integer()) {
      reader.refuse(key, "a list of integers");
    }
    return item.integer().value_or(0);
  });
}

inline std::vector<std::string> read_texts(ObjectReader& reader, std::string_view key) {
  return read_list<std::string>(reader, key, [&](const json::Value& item, const std::string&) {
    if (item.string() == nullptr) {
      reader.refuse(key, "a list of texts");
    }
    return item.string() == nullptr ? std::string{} : *item.string();
  });
}

}  // namespace sphere::device_api
