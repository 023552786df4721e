// SPDX-License-Identifier: MIT
#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/json/value.h"

namespace sphere::json {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

bool is_digit(char character) { return character >= '0' && character <= '9'; }

std::string describe(char character) {
  const auto code = static_cast<unsigned char>(character);
  return code >= 0x20 && code < 0x7F ? fmt::format("'{}'", character)
                                     : fmt::format("byte 0x{:02x}", code);
}

std::optional<char> simple_escape(char letter) {
  constexpr std::string_view kLetters = "\"\\/bfnrt";
  constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
  const auto index = kLetters.find(letter);
  return index == std::string_view::npos ? std::nullopt : std::optional{kMeanings[index]};
}

// `code` is a Unicode scalar value.
void append_utf8(std::string& out, std::uint32_t code) {
  const auto add = [&out](std::uint32_t byte) { out += static_cast<char>(byte); };
  const auto add_tail = [&](std::uint32_t shift) { add(0x80U | ((code >> shift) & 0x3FU)); };
  if (code < 0x80) {
    add(code);
  } else if (code < 0x800) {
    add(0xC0U | (code >> 6U));
    add_tail(0);
  } else if (code < 0x10000) {
    add(0xE0U | (code >> 12U));
    add_tail(6);
    add_tail(0);
  } else {
    add(0xF0U | (code >> 18U));
    add_tail(12);
    add_tail(6);
    add_tail(0);
  }
}

// Offset of the first byte that is not UTF-8; the text has one.
std::size_t invalid_utf8_at(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    std::size_t length = 1;
    while (length <= 4 && !is_valid_utf8(text.substr(at, length))) {
      ++length;
    }
    if (length > 4) {
      break;
    }
    at += length;
  }
  return at;
}

}  // namespace

// Recursive descent; one level of recursion for each nested array or object, at most limits.depth.
class Parser {
 public:
  Parser(std::string_view text, const Limits& limits) : text_{text}, limits_{limits} {
    if (text_.starts_with(kByteOrderMark)) {
      at_ = line_start_ = kByteOrderMark.size();  // The mark is in no column.
    }
  }

  Result<Value> document() {
    SPHERE_TRY(check_utf8());
    SPHERE_TRY(skip_blank());
    SPHERE_TRY_ASSIGN(Value result, value());
    SPHERE_TRY(skip_blank());
    if (!at_end()) {
      return unexpected("the end of the text");
    }
    return result;
  }

 private:
  [[nodiscard]] bool at_end() const { return at_ >= text_.size(); }
  [[nodiscard]] char peek() const { return at_end() ? '\0' : text_[at_]; }
  [[nodiscard]] bool take(char wanted) {
    if (at_end() || text_[at_] != wanted) {
      return false;
    }
    ++at_;
    return true;
  }
  [[nodiscard]] Source here() const {
    return {.offset = at_, .length = 0, .line = line_, .column = at_ - line_start_ + 1};
  }
  [[nodiscard]] Source since(Source start) const {
    start.length = at_ - start.offset;
    return start;
  }

  [[nodiscard]] static tl::unexpected<Error> error_at(const Source& place,
                                                      const std::string& what) {
    return fail(Errc::corrupt, "not valid JSON: " + what,
                {.value = fmt::format("line {}, column {}", place.line, place.column)});
  }
  [[nodiscard]] tl::unexpected<Error> unexpected(std::string_view wanted) const {
    return error_at(here(), fmt::format("expected {}, found {}", wanted,
                                        at_end() ? "the end of the text" : describe(peek())));
  }

  Result<void> check_utf8() {
    if (is_valid_utf8(text_)) {
      return {};
    }
    at_ = invalid_utf8_at(text_);
    const auto before = text_.substr(0, at_);
    line_ += static_cast<std::size_t>(std::count(before.begin(), before.end(), '\n'));
    const auto last = before.rfind('\n');
    line_start_ = last == std::string_view::npos ? line_start_ : last + 1;
    return error_at(here(), fmt::format("{} is not UTF-8", describe(text_[at_])));
  }

  Result<void> skip_blank() {
    while (!at_end()) {
      if (peek() == '\n') {
        ++at_;
        ++line_;
        line_start_ = at_;
      } else if (peek() == ' ' || peek() == '\t' || peek() == '\r') {
        ++at_;
      } else if (peek() == '/' && limits_.allow_comments) {
        SPHERE_TRY(skip_comment());
      } else {
        break;
      }
    }
    return {};
  }

  Result<void> skip_comment() {
    const Source start = here();
    const auto opening = text_.substr(at_, 2);
    if (opening == "//") {
      at_ = std::min(text_.find('\n', at_), text_.size());
      return {};
    }
    const auto end = opening == "/*" ? text_.find("*/", at_ + 2) : std::string_view::npos;
    if (end == std::string_view::npos) {
      return error_at(start, "'/' begins no complete comment");
    }
    for (; at_ < end + 2; ++at_) {
      if (text_[at_] == '\n') {
        ++line_;
        line_start_ = at_ + 1;
      }
    }
    return {};
  }

  // NOLINTNEXTLINE(misc-no-recursion): limited by enter().
  Result<Value> value() {
    switch (peek()) {
      case '{':
        return object();
      case '[':
        return array();
      case '"':
        return string_value();
      case 't':
        return literal("true", Value{true});
      case 'f':
        return literal("false", Value{false});
      case 'n':
        return literal("null", Value{});
      default:
        return number();
    }
  }

  Result<Value> literal(std::string_view word, Value meaning) {
    if (!text_.substr(at_).starts_with(word)) {
      return error_at(
          here(), fmt::format("expected a value; only {} begins with {}", word, describe(peek())));
    }
    meaning.source_ = here();
    at_ += word.size();
    meaning.source_ = since(meaning.source_);
    return meaning;
  }

  Result<void> digits() {
    if (!is_digit(peek())) {
      return unexpected("a digit");
    }
    while (is_digit(peek())) {
      ++at_;
    }
    return {};
  }

  // Behind the integer part: ".25e-3" or a part of it.
  Result<void> fraction_and_exponent() {
    if (take('.')) {
      SPHERE_TRY(digits());
    }
    if (take('e') || take('E')) {
      static_cast<void>(take('-') || take('+'));
      SPHERE_TRY(digits());
    }
    return {};
  }

  Result<void> number_token() {
    const Source start = here();
    if (!take('-') && !is_digit(peek())) {
      return unexpected("a value");
    }
    if (!take('0')) {
      SPHERE_TRY(digits());
    } else if (is_digit(peek())) {
      return error_at(start, "a number has no leading zeros");
    }
    return fraction_and_exponent();
  }

  Result<Value> number() {
    Value result;
    result.kind_ = Kind::number;
    result.source_ = here();
    SPHERE_TRY(number_token());
    result.source_ = since(result.source_);
    result.text_ = text_.substr(result.source_.offset, result.source_.length);
    // Other readers turn it into a double: what does not fit would mean another number to them.
    double ignored = 0;
    const char* const end = std::to_address(result.text_.end());
    if (std::from_chars(result.text_.data(), end, ignored).ec != std::errc{}) {
      return error_at(result.source_, fmt::format("{} is outside the range of a number",
                                                  cut_utf8(result.text_, 32)));
    }
    return result;
  }

  Result<Value> string_value() {
    Value result;
    result.kind_ = Kind::string;
    result.source_ = here();
    SPHERE_TRY_ASSIGN(result.text_, string_token());
    result.source_ = since(result.source_);
    return result;
  }

  Result<std::string> string_token() {
    const Source start = here();
    if (!take('"')) {
      return unexpected("'\"'");
    }
    std::string result;
    while (!take('"')) {
      if (at_end()) {
        return error_at(start, "the string has no closing quote");
      }
      SPHERE_TRY(append_character(result));
    }
    return result;
  }

  Result<void> append_character(std::string& out) {
    if (static_cast<unsigned char>(peek()) < 0x20) {
      return error_at(here(), describe(peek()) + " must be escaped in a string");
    }
    if (take('\\')) {
      return append_escape(out);
    }
    out += text_[at_++];
    return {};
  }

  Result<void> append_escape(std::string& out) {
    if (take('u')) {
      SPHERE_TRY_ASSIGN(const auto code, unicode_escape());
      append_utf8(out, code);
      return {};
    }
    const auto meaning = at_end() ? std::nullopt : simple_escape(peek());
    if (!meaning) {
      return unexpected(R"(one of "\/bfnrtu after '\')");
    }
    out += *meaning;
    ++at_;
    return {};
  }

  Result<std::uint32_t> hex4() {
    const auto token = text_.substr(at_, 4);
    std::uint32_t code = 0;
    const char* const end = std::to_address(token.end());
    const auto [stop, error] = std::from_chars(std::to_address(token.begin()), end, code, 16);
    if (token.size() != 4 || error != std::errc{} || stop != end) {
      return error_at(here(), "\\u needs four hexadecimal digits");
    }
    at_ += 4;
    return code;
  }

  // The scalar value of \uXXXX or of a surrogate pair; at_ stands behind the first 'u'.
  Result<std::uint32_t> unicode_escape() {
    const Source start = here();
    SPHERE_TRY_ASSIGN(const auto first, hex4());
    if (first < 0xD800 || first > 0xDFFF) {
      return first;
    }
    if (first > 0xDBFF || !take('\\') || !take('u')) {
      return error_at(start, "\\u stands for half a surrogate pair");
    }
    SPHERE_TRY_ASSIGN(const auto second, hex4());
    if (second < 0xDC00 || second > 0xDFFF) {
      return error_at(start, "\\u stands for half a surrogate pair");
    }
    return 0x10000 + ((first - 0xD800) << 10U) + (second - 0xDC00);
  }

  Result<void> enter() {
    if (depth_ == limits_.depth) {
      return error_at(here(), fmt::format("nested deeper than {} levels", limits_.depth));
    }
    ++depth_;
    ++at_;
    return skip_blank();
  }

  // Behind an entry: true when another one follows.
  Result<bool> another(char close, std::string_view wanted) {
    SPHERE_TRY(skip_blank());
    if (take(close)) {
      --depth_;
      return false;
    }
    if (!take(',')) {
      return unexpected(wanted);
    }
    SPHERE_TRY(skip_blank());
    return true;
  }

  // NOLINTNEXTLINE(misc-no-recursion): limited by enter().
  Result<Value> array() {
    Value result;
    result.kind_ = Kind::array;
    result.source_ = here();
    SPHERE_TRY(enter());
    bool more = !take(']');
    depth_ -= more ? 0 : 1;
    while (more) {
      SPHERE_TRY_ASSIGN(Value item, value());
      result.items_.push_back(std::move(item));
      SPHERE_TRY_ASSIGN(more, another(']', "',' or ']'"));
    }
    result.source_ = since(result.source_);
    return result;
  }

  // NOLINTNEXTLINE(misc-no-recursion): limited by enter().
  Result<Value> object() {
    Value result;
    result.kind_ = Kind::object;
    result.source_ = here();
    SPHERE_TRY(enter());
    std::set<std::string, std::less<>> keys;
    bool more = !take('}');
    depth_ -= more ? 0 : 1;
    while (more) {
      SPHERE_TRY_ASSIGN(Member entry, member());
      if (!keys.insert(entry.key).second) {
        return error_at(entry.key_source, fmt::format("key \"{}\" stands twice in one object",
                                                      escape_control(cut_utf8(entry.key, 64))));
      }
      result.members_.push_back(std::move(entry));
      SPHERE_TRY_ASSIGN(more, another('}', "',' or '}'"));
    }
    result.source_ = since(result.source_);
    return result;
  }

  // NOLINTNEXTLINE(misc-no-recursion): limited by enter().
  Result<Member> member() {
    Member result;
    result.key_source = here();
    if (peek() != '"') {
      return unexpected("a key in quotes");
    }
    SPHERE_TRY_ASSIGN(result.key, string_token());
    result.key_source = since(result.key_source);
    SPHERE_TRY(skip_blank());
    if (!take(':')) {
      return unexpected("':'");
    }
    SPHERE_TRY(skip_blank());
    SPHERE_TRY_ASSIGN(result.value, value());
    return result;
  }

  std::string_view text_;
  Limits limits_;
  std::size_t at_ = 0;
  std::size_t depth_ = 0;
  std::size_t line_ = 1;
  std::size_t line_start_ = 0;
};

Result<Value> parse(std::string_view text, const Limits& limits) {
  if (text.size() > limits.bytes) {
    return fail(Errc::too_large,
                fmt::format("JSON text of {} bytes is above the limit of {} bytes",
                            with_thousands(text.size()), with_thousands(limits.bytes)));
  }
  return Parser{text, limits}.document();
}

std::optional<Source> place_of(const Error& error) {
  constexpr std::string_view kLine = "line ";
  constexpr std::string_view kColumn = ", column ";
  const std::string_view text = error.hint().value;
  const auto column = text.find(kColumn);
  if (!text.starts_with(kLine) || column == std::string_view::npos) {
    return std::nullopt;
  }
  const auto number = [](std::string_view digits) {
    std::size_t value = 0;
    std::from_chars(std::to_address(digits.begin()), std::to_address(digits.end()), value);
    return value;
  };
  return Source{.offset = 0,
                .length = 0,
                .line = number(text.substr(kLine.size(), column - kLine.size())),
                .column = number(text.substr(column + kColumn.size()))};
}

}  // namespace sphere::json
