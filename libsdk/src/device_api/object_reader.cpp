// SPDX-License-Identifier: MIT
#include "libsdk/src/device_api/object_reader.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include <tl/expected.hpp>

#include "sphere/core/result.h"
#include "sphere/json/value.h"

namespace sphere::device_api {

ObjectReader::ObjectReader(const json::Value& value, std::string where)
    : value_{&value}, where_{std::move(where)} {
  if (value.kind() != json::Kind::object) {
    refuse("", "an object");
  }
}

std::string ObjectReader::text(std::string_view key) {
  auto found = value_->string_at(key);
  if (!found) {
    refuse(key, "text");
    return {};
  }
  return *std::move(found);
}

std::string ObjectReader::text_or_empty(std::string_view key) {
  return optional(key) == nullptr ? std::string{} : text(key);
}

std::int64_t ObjectReader::integer(std::string_view key) {
  const auto found = value_->integer_at(key);
  if (!found) {
    refuse(key, "an integer");
  }
  return found.value_or(0);
}

bool ObjectReader::boolean(std::string_view key) {
  const auto found = value_->boolean_at(key);
  if (!found) {
    refuse(key, "true or false");
  }
  return found.value_or(false);
}

const json::Value& ObjectReader::object(std::string_view key) {
  const json::Value* const found = value_->find(key);
  if (found == nullptr || found->kind() != json::Kind::object) {
    refuse(key, "an object");
    return nothing_;
  }
  return *found;
}

const json::Array& ObjectReader::array(std::string_view key) {
  const json::Value* const found = value_->find(key);
  if (found == nullptr || found->kind() != json::Kind::array) {
    refuse(key, "a list");
    return nothing_.items();
  }
  return found->items();
}

const json::Value* ObjectReader::optional(std::string_view key) const {
  const json::Value* const found = value_->find(key);
  return found == nullptr || found->is_null() ? nullptr : found;
}

void ObjectReader::refuse(std::string_view key, std::string_view expected) {
  if (error_) {
    return;
  }
  std::string place = where(key);
  std::string message = (place.empty() ? std::string{"the body"} : "the key " + place) + " is not ";
  message += expected;
  error_.emplace(Errc::corrupt, std::move(message),
                 Hint{.reason = "device.error", .value = std::move(place)});
}

void ObjectReader::take_error(Result<void> result) {
  if (!result && !error_) {
    error_.emplace(std::move(result).error());
  }
}

std::string ObjectReader::where(std::string_view key) const { return where_ + std::string{key}; }

Result<void> ObjectReader::done() const {
  if (error_) {
    return tl::make_unexpected(*error_);
  }
  return {};
}

}  // namespace sphere::device_api
