// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "sphere/core/result.h"
#include "sphere/json/value.h"

namespace sphere::device_api {

// Takes typed members of one JSON object. The first one that is missing or of another kind is kept
// as the error; the calls give empty values from then on, and done() tells.
class ObjectReader {
 public:
  // `where` is put in front of the keys of a message: "components[2].".
  explicit ObjectReader(const json::Value& value, std::string where = {});

  [[nodiscard]] std::string text(std::string_view key);
  [[nodiscard]] std::string text_or_empty(std::string_view key);  // Missing or null: "".
  [[nodiscard]] std::int64_t integer(std::string_view key);
  [[nodiscard]] bool boolean(std::string_view key);
  // The member, which must be an object or an array; an empty one otherwise.
  [[nodiscard]] const json::Value& object(std::string_view key);
  [[nodiscard]] const json::Array& array(std::string_view key);
  // The member, unless it is missing or null.
  [[nodiscard]] const json::Value* optional(std::string_view key) const;

  // Makes `key` the error (a rule beyond the kind of the value is broken).
  void refuse(std::string_view key, std::string_view expected);
  // Takes over the error of a nested object.
  void take_error(Result<void> result);

  [[nodiscard]] std::string where(std::string_view key) const;
  [[nodiscard]] bool ok() const { return !error_; }
  [[nodiscard]] Result<void> done() const;

 private:
  const json::Value* value_;
  std::string where_;
  std::optional<Error> error_;
  json::Value nothing_;  // What a refused member reads as.
};

}  // namespace sphere::device_api
