// SPDX-License-Identifier: MIT
#include "sphere/core/text.h"

#include <string>
#include <vector>

#include <catch2/catch.hpp>

TEST_CASE("escape_control leaves no byte a terminal acts on", "[core]") {
  CHECK(sphere::escape_control("plain \xC3\xA9") == "plain \xC3\xA9");
  CHECK(sphere::escape_control("a\x1b[31m\n") == "a\\x1b[31m\\x0a");
  CHECK(sphere::escape_control("\x7f") == "\\x7f");
  CHECK(sphere::escape_control("\xC2\x9B") == "\\xc2\\x9b");  // CSI as a C1 control
  CHECK(sphere::escape_control("\xFF") == "\\xff");
}

TEST_CASE("is_valid_utf8 follows RFC 3629", "[core]") {
  CHECK(sphere::is_valid_utf8("\xF0\x9F\x98\x80"));
  const auto* text = GENERATE("\x80", "\xC3", "\xC0\xAF", "\xE0\x80\xAF", "\xED\xA0\x80",
                              "\xF4\x90\x80\x80", "\xF8\x88\x80\x80\x80");
  CHECK_FALSE(sphere::is_valid_utf8(text));
}

TEST_CASE("cut_utf8 does not split a character", "[core]") {
  CHECK(sphere::cut_utf8("abc", 3) == "abc");
  CHECK(sphere::cut_utf8("ab\xC3\xA9", 3) == "ab");
  CHECK(sphere::cut_utf8("ab\xC3\xA9", 4) == "ab\xC3\xA9");
  CHECK(sphere::cut_utf8("\xF0\x9F\x98\x80", 3).empty());
}

TEST_CASE("small text helpers", "[core]") {
  CHECK(sphere::to_lower("AbC\xC3\x89") == "abc\xC3\x89");
  CHECK(sphere::trim(" \t a b\r\n") == "a b");
  CHECK(sphere::trim(" ").empty());
  CHECK(sphere::split("a,,b", ',') == std::vector<std::string>{"a", "", "b"});
  CHECK(sphere::join(std::vector<std::string>{"a", "b"}, ", ") == "a, b");
  CHECK(sphere::with_thousands(1) == "1");
  CHECK(sphere::with_thousands(16596) == "16,596");
  CHECK(sphere::with_thousands(123456789) == "123,456,789");
}

TEST_CASE("nearest sorts by distance and drops what is far", "[core]") {
  const std::vector<std::string> words = {"deploy", "delete", "list"};
  CHECK(sphere::nearest("delpoy", words) == std::vector<std::string>{"deploy"});
  CHECK(sphere::nearest("xxxxxx", words).empty());
}
