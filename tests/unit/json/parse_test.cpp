// SPDX-License-Identifier: MIT
#include <cstddef>
#include <string>
#include <string_view>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "sphere/core/result.h"
#include "sphere/json/value.h"

namespace json = sphere::json;

namespace {

constexpr std::string_view kSample = R"({
  "first": [1, -2.5e+3, "a\u00e9\ud83d\ude00", true, false, null],
  "second" : { "deep": { "x": [] } }
})";

std::string token(std::string_view text, const json::Source& source) {
  return std::string{text.substr(source.offset, source.length)};
}

// Every value's source must hold exactly that value, and lie inside its parent's.
void check_sources(std::string_view text, const json::Value& value) {
  const auto again = json::parse(token(text, value.source()));
  REQUIRE(again.has_value());
  CHECK(*again == value);
  const auto before = text.substr(0, value.source().offset);
  const auto line_start = before.rfind('\n') == std::string_view::npos ? 0 : before.rfind('\n') + 1;
  CHECK(value.source().column == value.source().offset - line_start + 1);
  for (const auto& item : value.items()) {
    check_sources(text, item);
  }
  for (const auto& member : value.members()) {
    CHECK(json::parse(token(text, member.key_source)) == json::Value{member.key});
    check_sources(text, member.value);
  }
}

struct Refused {
  const char* text;
  const char* place;
};

}  // namespace

TEST_CASE("parse keeps order, spelling and place of every value", "[json]") {
  const auto value = json::parse(kSample);

  REQUIRE(value.has_value());
  check_sources(kSample, *value);
  CHECK(value->members()[0].key == "first");
  CHECK(value->members()[1].key_source.line == 3);
  CHECK(value->members()[1].key_source.column == 3);
  const auto& list = value->find("first")->items();
  CHECK(list[1].number_text() == "-2.5e+3");
  CHECK(*list[2].string() == "a\xC3\xA9\xF0\x9F\x98\x80");
  CHECK(value->find("second")->source().line == 3);
}

TEST_CASE("a byte-order mark is skipped and in no column; CRLF is one line end", "[json]") {
  const std::string text = "\xEF\xBB\xBF{\r\n \"a\":\r\n  1}\r\n";
  const auto value = json::parse(text);

  REQUIRE(value.has_value());
  CHECK(value->source().offset == 3);
  CHECK(value->source().column == 1);
  CHECK(value->find("a")->source().line == 3);
  CHECK(value->find("a")->source().column == 3);
  CHECK(token(text, value->find("a")->source()) == "1");
}

TEST_CASE("parse refuses a text truncated anywhere", "[json]") {
  for (std::size_t length = 0; length < kSample.size(); ++length) {
    INFO("length " << length);
    const auto result = json::parse(kSample.substr(0, length));
    REQUIRE_FALSE(result.has_value());
    CHECK(result.error().code() == sphere::Errc::corrupt);
    CHECK(result.error().hint().value.starts_with("line "));
  }
}

TEST_CASE("parse says where the text is wrong", "[json]") {
  const auto test = GENERATE(values<Refused>({
      {"", "line 1, column 1"},
      {"[1,]", "line 1, column 4"},
      {"{\"a\":1,}", "line 1, column 8"},
      {"{\n \"a\" 1}", "line 2, column 6"},
      {"{a:1}", "line 1, column 2"},
      {"[01]", "line 1, column 2"},
      {"[1.]", "line 1, column 4"},
      {"[-]", "line 1, column 3"},
      {"[1e+]", "line 1, column 5"},
      {"[1e999]", "line 1, column 2"},
      {"[nul]", "line 1, column 2"},
      {"[1] 2", "line 1, column 5"},
      {"[1\n\n 2]", "line 3, column 2"},
      {"\"a\tb\"", "line 1, column 3"},
      {"\"\\x\"", "line 1, column 3"},
      {"\"\\u12g4\"", "line 1, column 4"},
      {"\"\\ud800\"", "line 1, column 4"},
      {"\"\\ud800\\u0041\"", "line 1, column 4"},
      {"\"\\udc00\"", "line 1, column 4"},
      {"[1,\n\"\xFF\"]", "line 2, column 2"},
      {"\xEF\xBB\xBF\xFF", "line 1, column 1"},
      {"{\"a\":1,\n\"\\u0061\":2}", "line 2, column 1"},
      {"[1] // end", "line 1, column 5"},
  }));
  INFO(test.text);

  const auto result = json::parse(test.text);

  REQUIRE_FALSE(result.has_value());
  CHECK(result.error().code() == sphere::Errc::corrupt);
  CHECK(result.error().hint().value == test.place);
}

TEST_CASE("limits are exact", "[json]") {
  const std::string deep = std::string(16, '[') + std::string(16, ']');

  CHECK(json::parse(deep).has_value());
  CHECK_FALSE(json::parse("[" + deep + "]").has_value());
  CHECK(json::parse("[" + deep + ",{}]", {.depth = 17}).has_value());
  CHECK(json::parse("[[],[],{},{}]", {.depth = 2}).has_value());
  CHECK(json::parse("[1]", {.bytes = 3}).has_value());
  CHECK(json::parse("[10]", {.bytes = 3}).error().code() == sphere::Errc::too_large);
}

TEST_CASE("comments are accepted where asked for", "[json]") {
  const std::string text = "// a\n{/* b\n c */\"x\": 1 // d\n}\n//";
  const auto value = json::parse(text, {.allow_comments = true});

  REQUIRE(value.has_value());
  CHECK(value->find("x")->source().line == 3);
  CHECK(value->find("x")->source().column == 11);
  CHECK_FALSE(json::parse(text).has_value());
  CHECK_FALSE(json::parse("/* a", {.allow_comments = true}).has_value());
  CHECK_FALSE(json::parse("/", {.allow_comments = true}).has_value());
}

TEST_CASE("parse agrees with another JSON reader", "[json]") {
  const std::string text = GENERATE(
      "0", "-0", "00", "-", "+1", ".5", "1.", "1.5", "1e5", "1E+05", "1e", "0x1", "1 ", " 1", "\f1",
      "\xC2\xA0", "1a", "NaN", "Infinity", "true", "True", "tru", "truex", "null", "[]", "[ ]",
      "[,]", "[1,]", "[1,,2]", "[1 2]", "{}", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{'a':1}",
      "{\"a\":1 \"b\":2}", "{\"a\":1}}", "\"\"", "\"", "'a'", "\"\\\"\"", "\"\\a\"", "\"\\u00e9\"",
      "\"\\u00E9\"", "\"\\u00\"", "\"\\uD83D\\uDE00\"", "\"\\uD83D\"", "\"\\uDE00\"", "\"\x7f\"",
      "\"\x1f\"", "\"\n\"", "\"\xC3\xA9\"", "\"\xC3\"", "\"\xED\xA0\x80\"", "\"\xF4\x90\x80\x80\"",
      "\"\xC0\xAF\"", "\xEF\xBB\xBF[]", "\xEF\xBB[]", "[] []", "//", "[/**/]",
      "123456789012345678901234567890", "1e400", "-1e400", "[[[[]]]]", "[\"a\\/b\"]",
      "\"\\u0000\"");
  INFO(text);

  CHECK(json::parse(text).has_value() == nlohmann::json::accept(text));
}
