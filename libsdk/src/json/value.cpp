// SPDX-License-Identifier: MIT
#include "sphere/json/value.h"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace sphere::json {

Value::Value() = default;
Value::Value(const Value& other) = default;
Value::Value(Value&& other) noexcept = default;
Value& Value::operator=(const Value& other) = default;
Value& Value::operator=(Value&& other) noexcept = default;
Value::~Value() = default;

Value::Value(std::nullptr_t) {}
Value::Value(bool value) : kind_{Kind::boolean}, boolean_{value} {}
Value::Value(int value) : Value{static_cast<std::int64_t>(value)} {}
Value::Value(std::int64_t value) : kind_{Kind::number}, text_{std::to_string(value)} {}
Value::Value(std::uint64_t value) : kind_{Kind::number}, text_{std::to_string(value)} {}
Value::Value(const char* text) : Value{std::string{text}} {}
Value::Value(std::string_view text) : Value{std::string{text}} {}
Value::Value(std::string text) : kind_{Kind::string}, text_{std::move(text)} {}

// Parentheses: braces would make a list with one element, the array turned into a value.
Value::Value(Array items) : kind_{Kind::array}, items_(std::move(items)) {}
Value::Value(Object members) : kind_{Kind::object}, members_(std::move(members)) {}

std::optional<bool> Value::boolean() const {
  return kind_ == Kind::boolean ? std::optional{boolean_} : std::nullopt;
}

std::optional<std::int64_t> Value::integer() const {
  if (kind_ != Kind::number) {
    return std::nullopt;
  }
  std::int64_t value = 0;
  const char* const end = std::to_address(text_.end());
  const auto [stop, error] = std::from_chars(text_.data(), end, value);
  if (error != std::errc{} || stop != end) {
    return std::nullopt;
  }
  return value;
}

const std::string* Value::string() const { return kind_ == Kind::string ? &text_ : nullptr; }

const Value* Value::find(std::string_view key) const {
  const auto found =
      std::ranges::find_if(members_, [&](const Member& member) { return member.key == key; });
  return found == members_.end() ? nullptr : &found->value;
}

std::optional<std::string> Value::string_at(std::string_view key) const {
  const Value* const value = find(key);
  const std::string* const text = value == nullptr ? nullptr : value->string();
  return text == nullptr ? std::nullopt : std::optional{*text};
}

std::optional<std::int64_t> Value::integer_at(std::string_view key) const {
  const Value* const value = find(key);
  return value == nullptr ? std::nullopt : value->integer();
}

std::optional<bool> Value::boolean_at(std::string_view key) const {
  const Value* const value = find(key);
  return value == nullptr ? std::nullopt : value->boolean();
}

Value& Value::set(std::string key, Value value) {
  if (kind_ == Kind::null) {
    kind_ = Kind::object;
  }
  const auto found =
      std::ranges::find_if(members_, [&](const Member& member) { return member.key == key; });
  if (found != members_.end()) {
    found->value = std::move(value);
  } else {
    members_.push_back({.key = std::move(key), .key_source = {}, .value = std::move(value)});
  }
  return *this;
}

Value& Value::push(Value value) {
  if (kind_ == Kind::null) {
    kind_ = Kind::array;
  }
  items_.push_back(std::move(value));
  return *this;
}

// NOLINTNEXTLINE(misc-no-recursion): as deep as the value, which parse() limits.
bool operator==(const Value& a, const Value& b) {
  if (a.kind_ != b.kind_ || a.boolean_ != b.boolean_ || a.text_ != b.text_ ||
      a.members_.size() != b.members_.size()) {
    return false;
  }
  // NOLINTNEXTLINE(misc-no-recursion): see above.
  const auto in_b = [&](const Member& member) {
    const Value* const other = b.find(member.key);
    return other != nullptr && *other == member.value;
  };
  return a.items_ == b.items_ && std::ranges::all_of(a.members_, in_b);
}

}  // namespace sphere::json
