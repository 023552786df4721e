// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "sphere/core/text.h"
#include "sphere/json/value.h"

namespace sphere::json {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

// Bytes of the UTF-8 character at the front, 0 if it is none.
std::size_t character_length(std::string_view text) {
  for (std::size_t length = 1; length <= std::min<std::size_t>(text.size(), 4); ++length) {
    if (is_valid_utf8(text.substr(0, length))) {
      return length;
    }
  }
  return 0;
}

// `text` with what is not UTF-8 replaced, so that no built value gives a broken document.
std::string as_utf8(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    const std::size_t length = character_length(text);
    result += length == 0 ? kReplacement : text.substr(0, length);
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return result;
}

void append_character(std::string& out, char character) {
  constexpr std::array<std::pair<char, char>, 7> kShort = {
      {{'"', '"'}, {'\\', '\\'}, {'\b', 'b'}, {'\f', 'f'}, {'\n', 'n'}, {'\r', 'r'}, {'\t', 't'}}};
  constexpr std::string_view kDigits = "0123456789abcdef";
  for (const auto& [plain, letter] : kShort) {
    if (character == plain) {
      out += '\\';
      out += letter;
      return;
    }
  }
  const auto code = static_cast<unsigned char>(character);
  if (code < 0x20) {
    out += "\\u00";
    out += kDigits[code >> 4U];
    out += kDigits[code & 0xFU];
    return;
  }
  out += character;
}

class Writer {
 public:
  explicit Writer(bool pretty) : pretty_{pretty} {}

  // NOLINTNEXTLINE(misc-no-recursion): as deep as the value, which parse() limits.
  void write(const Value& value) {
    switch (value.kind()) {
      case Kind::null:
        out_ += "null";
        break;
      case Kind::boolean:
        out_ += value.boolean().value_or(false) ? "true" : "false";
        break;
      case Kind::number:
        out_ += value.number_text();
        break;
      case Kind::string:
        out_ += quote(*value.string());
        break;
      case Kind::array:
        write_list('[', value.items(), ']');
        break;
      case Kind::object:
        write_list('{', value.members(), '}');
        break;
    }
  }

  [[nodiscard]] std::string take() { return std::move(out_); }

 private:
  // NOLINTNEXTLINE(misc-no-recursion): see write().
  void write(const Member& member) {
    out_ += quote(member.key);
    out_ += pretty_ ? ": " : ":";
    write(member.value);
  }

  template <typename List>
  // NOLINTNEXTLINE(misc-no-recursion): see write().
  void write_list(char open, const List& list, char close) {
    out_ += open;
    ++depth_;
    bool first = true;
    for (const auto& entry : list) {
      if (!first) {
        out_ += ',';
      }
      first = false;
      new_line();
      write(entry);
    }
    --depth_;
    if (!list.empty()) {
      new_line();
    }
    out_ += close;
  }

  void new_line() {
    if (pretty_) {
      out_ += '\n';
      out_.append(2 * depth_, ' ');
    }
  }

  std::string out_;
  std::size_t depth_ = 0;
  bool pretty_;
};

std::string written(const Value& value, bool pretty) {
  Writer writer{pretty};
  writer.write(value);
  return writer.take();
}

}  // namespace

std::string to_compact(const Value& value) { return written(value, false); }
std::string to_pretty(const Value& value) { return written(value, true); }

std::string quote(std::string_view text) {
  std::string repaired;
  if (!is_valid_utf8(text)) {
    repaired = as_utf8(text);
    text = repaired;
  }
  std::string out = "\"";
  out.reserve(text.size() + 2);
  for (const char character : text) {
    append_character(out, character);
  }
  out += '"';
  return out;
}

}  // namespace sphere::json
