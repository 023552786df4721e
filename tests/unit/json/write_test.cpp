// SPDX-License-Identifier: MIT
#include <string>
#include <string_view>

#include <catch2/catch.hpp>

#include "sphere/json/value.h"

namespace json = sphere::json;

TEST_CASE("to_compact and to_pretty print nested values", "[json]") {
  const auto value = json::parse(R"({"a":[1,2.50],"b":{},"c":[],"d":{"e":null}})");

  REQUIRE(value.has_value());
  CHECK(json::to_compact(*value) == R"({"a":[1,2.50],"b":{},"c":[],"d":{"e":null}})");
  CHECK(json::to_pretty(*value) ==
        "{\n  \"a\": [\n    1,\n    2.50\n  ],\n  \"b\": {},\n  \"c\": [],\n  \"d\": {\n"
        "    \"e\": null\n  }\n}");
}

TEST_CASE("quote escapes what JSON must not hold and keeps UTF-8", "[json]") {
  CHECK(json::quote("a\"\\/\b\f\n\r\t") == R"("a\"\\/\b\f\n\r\t")");
  CHECK(json::quote(std::string_view{"\0\x1f\x7f", 3}) == "\"\\u0000\\u001f\x7f\"");
  CHECK(json::quote("\xC3\xA9") == "\"\xC3\xA9\"");
}

TEST_CASE("quote writes bytes that are not UTF-8 as the replacement character", "[json]") {
  CHECK(json::quote("a\xFFz\xC3") == "\"a\xEF\xBF\xBDz\xEF\xBF\xBD\"");
}

TEST_CASE("a written value reads back as the same value", "[json]") {
  json::Value value;
  value.set("key \"\x01", "\xF0\x9F\x98\x80").set("n", -12).set("list", json::Array{true, "x"});

  CHECK(json::parse(json::to_compact(value)) == value);
  CHECK(json::parse(json::to_pretty(value)) == value);
}
