// SPDX-License-Identifier: MIT
#include <cstddef>
#include <string>

#include <catch2/catch.hpp>

#include "sphere/core/result.h"
#include "sphere/hardware/definition.h"
#include "tests/unit/hardware/definition_text.h"

namespace hardware = sphere::hardware;
using sphere::Errc;
using sphere::test::definition_text;
using sphere::test::import_of;
using sphere::test::mapped;
using sphere::test::pin;

namespace {

struct Refused {
  std::string text;
  const char* message;  // A part of it.
  Errc code = Errc::corrupt;
};

std::string replaced(std::string text, const std::string& what, const std::string& by) {
  return text.replace(text.find(what), what.size(), by);
}

}  // namespace

TEST_CASE("read_definition gives imports and peripherals as written", "[hardware]") {
  const auto text = "\xEF\xBB\xBF" +
                    definition_text(pin("LED", 8) + ",\n" +
                                        R"({"Name":"BUS","Type":"Uart","Mapping":"ISU0",)"
                                        R"("Comment":"A bus"},)"
                                        R"({"Name":"U","Type":"Uart","MainCoreHeaderValue":"4",)"
                                        R"("AppManifestValue":"ISU0"},)"
                                        R"({"Name":"CS","Type":"int","MainCoreHeaderValue":"-1"})",
                                    import_of("dir\\\\a.json"));

  const auto definition = hardware::read_definition(text, "boards/x.json");

  REQUIRE(definition.has_value());
  CHECK(definition->path == "boards/x.json");
  CHECK(definition->name == "Test");
  CHECK(definition->header_top.size() == 1);
  CHECK(definition->imports[0] == "dir\\a.json");
  REQUIRE(definition->peripherals.size() == 4);
  CHECK(definition->peripherals[0].header_value == "(8)");
  CHECK(definition->peripherals[0].manifest_value == "8");
  CHECK(definition->peripherals[1].mapping == "ISU0");
  CHECK(definition->peripherals[1].comment == "A bus");
  CHECK(definition->peripherals[1].line == 2);
  CHECK(definition->peripherals[2].manifest_value == "\"ISU0\"");
  CHECK(definition->peripherals[3].manifest_value.empty());
}

TEST_CASE("read_definition refuses each wrong form and says where", "[hardware]") {
  const auto good = definition_text(pin("A", 1), import_of("a.json"));
  const auto test = GENERATE_COPY(values<Refused>({
      {"{", "not valid JSON"},
      {"[]", "a JSON object"},
      {replaced(good, "\"Metadata\"", "\"metadata\""), "\"Metadata\" is missing"},
      {replaced(good, "Azure Sphere Hardware", "Other"), "the file's type is"},
      {replaced(good, "\"Version\":1", "\"Version\":2"), "version 2"},
      {replaced(good, "\"Version\":1", "\"Version\":\"1\""), "\"Version\" is not a number"},
      {replaced(good, "\"Name\":\"Test\"", "\"Name\":1"), "\"Name\" is not a string"},
      {replaced(good, "[\"// Top\"]", "[1]"), "a line of the header"},
      {replaced(good, "// Top", "a\\nb"), "a line of the header"},
      {replaced(good, "[{\"Path\":\"a.json\"}]", "{}"), "\"Imports\" is not a list"},
      {replaced(good, "{\"Path\":\"a.json\"}", "\"a.json\""), "an import is not"},
      {replaced(good, "a.json", ""), "no path of a file"},
      {replaced(good, "a.json", "a\\\"b"), "no path of a file"},
      {replaced(good, "\"Peripherals\":", "\"peripherals\":"), "\"Peripherals\" is missing"},
      {definition_text("1"), "a peripheral is not an object"},
      {definition_text("{}"), "\"Name\" is missing"},
      {definition_text(pin("1A", 1)), "no C identifier"},
      {definition_text(pin("A B", 1)), "no C identifier"},
      {definition_text(pin(std::string(129, 'A'), 1)), "no C identifier"},
      {definition_text(R"({"Name":"A"})"), "\"Type\" is missing"},
      {definition_text(mapped("A", "gpio", "B")), "types are Gpio"},
      {definition_text(R"({"Name":"A","Type":"Gpio"})"), "neither"},
      {definition_text(mapped("A", "Gpio", "B C")), "no name of a peripheral"},
      {definition_text(R"({"Name":"A","Type":"int","Mapping":"B","MainCoreHeaderValue":"1"})"),
       "a mapping and a value"},
      {definition_text(R"({"Name":"A","Type":"Gpio","AppManifestValue":1})"),
       "\"MainCoreHeaderValue\" is missing"},
      {definition_text(R"({"Name":"A","Type":"int","MainCoreHeaderValue":"1\n#error"})"),
       "the C value"},
      {definition_text(R"({"Name":"A","Type":"int","MainCoreHeaderValue":"1\\"})"), "the C value"},
      {definition_text(R"({"Name":"A","Type":"int","MainCoreHeaderValue":""})"), "the C value"},
      {definition_text(R"({"Name":"A","Type":"int","MainCoreHeaderValue":"1","Comment":"a\nb"})"),
       "the comment"},
      {definition_text(
           R"({"Name":"A","Type":"Gpio","MainCoreHeaderValue":"1","AppManifestValue":"1"})"),
       "not a pin number"},
      {definition_text(
           R"({"Name":"A","Type":"Uart","MainCoreHeaderValue":"4","AppManifestValue":4})"),
       "not a string"},
      {definition_text(pin("A", 1) + "," + pin("A", 1)), "defined twice, first in line 1",
       Errc::invalid_argument},
  }));
  INFO(test.text);

  const auto result = hardware::read_definition(test.text, "x.json");

  REQUIRE_FALSE(result.has_value());
  INFO(result.error().message());
  CHECK(result.error().code() == test.code);
  CHECK(result.error().hint().reason == "package.hardware-definition");
  CHECK(result.error().message().starts_with("x.json:1:"));
  CHECK(result.error().message().find(test.message) != std::string::npos);
}

TEST_CASE("read_definition refuses a definition truncated anywhere", "[hardware]") {
  const auto good = definition_text(pin("A", 1), import_of("a.json"));
  for (std::size_t length = 0; length < good.size(); ++length) {
    CHECK_FALSE(hardware::read_definition(good.substr(0, length), "x.json").has_value());
  }
}

TEST_CASE("read_definition has limits", "[hardware]") {
  std::string many = pin("A0", 1);
  for (std::size_t i = 1; i < hardware::kMaxPeripherals; ++i) {
    many += "," + pin("A" + std::to_string(i), 1);
  }

  CHECK(hardware::read_definition(definition_text(many), "x.json").has_value());
  const auto one_more = hardware::read_definition(definition_text(many + "," + pin("B", 1)), "x");
  const auto large = hardware::read_definition(
      definition_text("") + std::string(hardware::kMaxDefinitionBytes, ' '), "x");

  REQUIRE_FALSE(one_more.has_value());
  CHECK(one_more.error().code() == Errc::too_large);
  REQUIRE_FALSE(large.has_value());
  CHECK(large.error().code() == Errc::too_large);
}
