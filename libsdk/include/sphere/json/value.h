// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sphere/core/result.h"

namespace sphere::json {

enum class Kind : std::uint8_t { null, boolean, number, string, array, object };

// Where a parsed value stands in its source text. Built values have offset = length = 0, line 0.
struct Source {
  std::size_t offset = 0;  // Bytes from the start of the text.
  std::size_t length = 0;  // Bytes of the token or of the whole array or object.
  std::size_t line = 0;    // From 1.
  std::size_t column = 0;  // From 1, in bytes.
};

class Value;
struct Member;
using Array = std::vector<Value>;
using Object = std::vector<Member>;  // In source order; parse() refuses duplicate keys.

// One JSON value (RFC 8259). Numbers keep their spelling; objects keep the order of their keys.
class Value {
 public:
  Value();  // null
  Value(std::nullptr_t);
  Value(bool value);
  Value(int value);
  Value(std::int64_t value);
  Value(std::uint64_t value);
  Value(const char* text);
  Value(std::string_view text);
  Value(std::string text);
  Value(Array items);  // Not Array{other}: braces make a list whose one item is the list `other`.
  Value(Object members);
  Value(const Value& other);
  Value(Value&& other) noexcept;
  Value& operator=(const Value& other);
  Value& operator=(Value&& other) noexcept;
  ~Value();

  [[nodiscard]] Kind kind() const noexcept { return kind_; }
  [[nodiscard]] bool is_null() const noexcept { return kind_ == Kind::null; }

  // Each gives nothing (or an empty list) when the value is of another kind.
  [[nodiscard]] std::optional<bool> boolean() const;
  [[nodiscard]] std::optional<std::int64_t> integer() const;  // No fraction, no exponent, in range.
  [[nodiscard]] const std::string* string() const;            // UTF-8, escapes resolved.
  [[nodiscard]] const std::string& number_text() const noexcept { return text_; }
  [[nodiscard]] const Array& items() const noexcept { return items_; }
  [[nodiscard]] const Object& members() const noexcept { return members_; }

  [[nodiscard]] const Value* find(std::string_view key) const;  // In an object; null otherwise.
  // Short forms for bodies: the member's value if it is there and of that kind.
  [[nodiscard]] std::optional<std::string> string_at(std::string_view key) const;
  [[nodiscard]] std::optional<std::int64_t> integer_at(std::string_view key) const;
  [[nodiscard]] std::optional<bool> boolean_at(std::string_view key) const;

  // Adds or replaces a member of an object (null becomes an object) and returns this value.
  Value& set(std::string key, Value value);
  // Appends to an array (null becomes an array).
  Value& push(Value value);

  [[nodiscard]] const Source& source() const noexcept { return source_; }

  // Ignores source and the order of keys; numbers are equal when spelled alike.
  friend bool operator==(const Value& a, const Value& b);

 private:
  friend class Parser;
  Kind kind_ = Kind::null;
  bool boolean_ = false;
  std::string text_;  // String value, or the number's spelling.
  Array items_;
  Object members_;
  Source source_;
};

struct Member {
  std::string key;
  Source key_source;
  Value value;
};

struct Limits {
  std::size_t bytes = std::size_t{64} * 1024;
  std::size_t depth = 16;       // Nested arrays and objects.
  bool allow_comments = false;  // // and /* */ as in configuration files.
};

// Reads one JSON text, UTF-8; a leading byte-order mark is skipped. Refuses duplicate keys in one
// object, invalid UTF-8, lone surrogates, control characters in strings and anything after the
// value, and numbers no double can hold. Errors: too_large (limits.bytes), corrupt; the hint's
// value is "line L, column C", its reason is left to the caller.
[[nodiscard]] Result<Value> parse(std::string_view text, const Limits& limits = {});

// Line and column of an error of parse(); nothing for too_large and for other errors.
[[nodiscard]] std::optional<Source> place_of(const Error& error);

// Compact: no white space. Pretty: 2 spaces, LF between lines, none at the end. Non-ASCII stays
// UTF-8.
[[nodiscard]] std::string to_compact(const Value& value);
[[nodiscard]] std::string to_pretty(const Value& value);

// `text` as a JSON string with its quotes.
[[nodiscard]] std::string quote(std::string_view text);

}  // namespace sphere::json
