// SPDX-License-Identifier: MIT
#include "sphere/json/value.h"

#include <cstdint>
#include <limits>
#include <string>

#include <catch2/catch.hpp>

using sphere::json::Array;
using sphere::json::Kind;
using sphere::json::Object;
using sphere::json::Value;

TEST_CASE("a value gives its content only as what it is", "[json]") {
  CHECK(Value{}.is_null());
  CHECK(Value{true}.boolean() == true);
  CHECK(Value{7}.integer() == 7);
  CHECK(*Value{"text"}.string() == "text");
  CHECK_FALSE(Value{7}.boolean().has_value());
  CHECK_FALSE(Value{"7"}.integer().has_value());
  CHECK(Value{7}.string() == nullptr);
  CHECK(Value{7}.items().empty());
  CHECK(Value{7}.find("a") == nullptr);
}

TEST_CASE("integer refuses what is none or does not fit", "[json]") {
  constexpr auto kMost = std::numeric_limits<std::int64_t>::max();

  CHECK(Value{kMost}.integer() == kMost);
  CHECK_FALSE(Value{std::uint64_t{1} << 63U}.integer().has_value());
  CHECK_FALSE(sphere::json::parse("1.0")->integer().has_value());
  CHECK_FALSE(sphere::json::parse("1e2")->integer().has_value());
  CHECK(sphere::json::parse("-0")->integer() == 0);
}

TEST_CASE("set replaces a member and push appends", "[json]") {
  Value object;
  object.set("a", 1).set("b", "x").set("a", 2);
  Value list;
  list.push(object).push(nullptr);

  CHECK(object.members().size() == 2);
  CHECK(object.integer_at("a") == 2);
  CHECK(object.string_at("b") == "x");
  CHECK_FALSE(object.boolean_at("a").has_value());
  CHECK_FALSE(object.string_at("c").has_value());
  CHECK(list.kind() == Kind::array);
  CHECK(list.items().size() == 2);
}

TEST_CASE("equality ignores the order of keys and the place in the text", "[json]") {
  const auto parsed = sphere::json::parse(" {\"b\": [1, null], \"a\": true}");
  Value built;
  built.set("a", true).set("b", Value{Array{1, nullptr}});

  REQUIRE(parsed.has_value());
  CHECK(*parsed == built);
  CHECK_FALSE(*parsed == built.set("a", false));
  CHECK_FALSE(Value{1} == Value{"1"});
  CHECK_FALSE(Value{Object{}} == Value{Array{}});
}
