// SPDX-License-Identifier: MIT
#include "cli/output/render.h"

#include <string>

#include <catch2/catch.hpp>

#include "cli/output/output.h"
#include "sphere/json/value.h"

namespace {

using sphere::cli::Format;
using sphere::cli::Output;
using sphere::cli::render;
using sphere::json::Array;
using sphere::json::Value;

Value row(const std::string& name, Value size) {
  Value result;
  result.set("name", name);
  result.set("size", std::move(size));
  return result;
}

Output two_rows() {
  Output output;
  output.data.push(row("a", 1));
  output.data.push(row("tab\there", {}));
  output.columns = {{"name", "Name"}, {"size", "Size"}};
  return output;
}

}  // namespace

TEST_CASE("a table has headings, dashes and rows", "[cli]") {
  CHECK(render(two_rows(), {.format = Format::table}) ==
        "Name         Size\n"
        "-----------  ----\n"
        "a            1\n"
        "tab\\x09here\n");
}

TEST_CASE("a table fits its terminal by cutting the longest cell", "[cli]") {
  Output output;
  output.data.push(row(std::string(30, 'x'), "short"));
  output.columns = {{"name", "Name"}, {"size", "Size"}};
  CHECK(render(output, {.format = Format::table, .width = 20}) ==
        "Name           Size\n"
        "-------------  -----\n"
        "xxxxxxxxxx...  short\n");
}

TEST_CASE("tsv has one line a row and escapes what would break it", "[cli]") {
  CHECK(render(two_rows(), {.format = Format::tsv}) == "a\t1\ntab\\there\t\n");
  Output output;
  output.data = Array{};
  CHECK(render(output, {.format = Format::tsv}).empty());
  output.data.push(row("back\\slash\nline\x1b", true));
  CHECK(render(output, {.format = Format::tsv}) == "back\\\\slash\\nline\\x1b\ttrue\n");
}

TEST_CASE("json keeps lists of no entry and of one", "[cli]") {
  Output output;
  output.data = Array{};
  CHECK(render(output, {.format = Format::json}) == "[]\n");
}

TEST_CASE("yaml quotes what would be read as something else", "[cli]") {
  Value value;
  const auto* const text =
      GENERATE("", "true", "No", "null", "1.5", "0x1", "- a", "a: b", "#x", " a", "a ", "~", "*x");
  CAPTURE(text);
  value.set("key", text);
  CHECK(sphere::cli::to_yaml(value) == "key: " + sphere::json::quote(text) + "\n");
}

TEST_CASE("yaml nests objects and lists", "[cli]") {
  Value value;
  value.set("list", Array{row("a", 1), Value{Array{2, 3}}, Value{}, Value{Array{}}});
  CHECK(sphere::cli::to_yaml(value) ==
        "list:\n"
        "  - name: a\n"
        "    size: 1\n"
        "  - - 2\n"
        "    - 3\n"
        "  - null\n"
        "  - []\n");
}

TEST_CASE("an error holds every part, absent ones as null", "[cli]") {
  const sphere::Error error{sphere::Errc::busy, "held", {.reason = "link.busy", .next = "wait"}};
  const auto value = sphere::cli::error_value(
      error, "D", sphere::device::DeviceError{.code = 14680076, .status = 409});
  const Value* body = value.find("error");
  REQUIRE(body != nullptr);
  CHECK(body->string_at("code") == "link.busy");
  CHECK(body->string_at("next") == "wait");
  REQUIRE(body->find("value") != nullptr);
  CHECK(body->find("value")->is_null());
  CHECK(body->find("deviceError")->string_at("name") == "RestAppError::AppNotPresent");
}

TEST_CASE("control characters of devices do not reach a terminal", "[cli]") {
  Output output;
  output.data.set("name", "a\x1b[31m\n");
  const auto format = GENERATE(Format::table, Format::tsv, Format::json, Format::yaml);
  CHECK(render(output, {.format = format}).find('\x1b') == std::string::npos);
}
