// SPDX-License-Identifier: MIT
#include <filesystem>
#include <string>

#include <catch2/catch.hpp>

#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/hardware/definition.h"
#include "tests/unit/hardware/definition_text.h"

using sphere::Errc;
using sphere::hardware::DefinitionSet;
using sphere::test::definition_text;
using sphere::test::import_of;
using sphere::test::mapped;
using sphere::test::pin;
using sphere::test::put;

namespace {

// A folder `own` of a project and a folder `sdk`.
struct Folders {
  sphere::TemporaryDirectory root = *sphere::TemporaryDirectory::create();
  std::filesystem::path own = root.path() / "own";
  std::filesystem::path sdk = root.path() / "sdk";

  void own_file(const std::string& name, const std::string& text) const { put(own / name, text); }
  void sdk_file(const std::string& name, const std::string& text) const { put(sdk / name, text); }
  [[nodiscard]] sphere::Result<DefinitionSet> load(const std::string& name) const {
    return DefinitionSet::load(name, {own, sdk});
  }
};

void check_refused(const sphere::Result<DefinitionSet>& result, Errc code,
                   const std::string& part_of_message) {
  REQUIRE_FALSE(result.has_value());
  INFO(result.error().message());
  CHECK(result.error().code() == code);
  CHECK(result.error().hint().reason == "package.hardware-definition");
  CHECK(result.error().message().find(part_of_message) != std::string::npos);
}

}  // namespace

TEST_CASE("a name is followed through imports to its value", "[hardware]") {
  const Folders folders;
  folders.own_file("appliance.json", definition_text(mapped("LED", "Gpio", "BOARD_LED") + "," +
                                                         mapped("CHIP_LED", "Gpio", "PIN8"),
                                                     import_of("board.json")));
  folders.sdk_file("board.json", definition_text(mapped("BOARD_LED", "Gpio", "PIN8"),
                                                 import_of("parts\\\\chip.json")));
  folders.sdk_file("parts/chip.json", definition_text(pin("PIN8", 8)));

  const auto set = folders.load("appliance.json");

  REQUIRE(set.has_value());
  CHECK(set->files().size() == 3);
  CHECK(set->files()[0].path == folders.own / "appliance.json");
  CHECK(set->manifest_value("Gpio", "LED") == "8");
  CHECK(set->manifest_value("Gpio", "CHIP_LED") == "8");  // From the import of an import.
  CHECK(set->manifest_value("Gpio", "PIN8") == "8");
  CHECK(set->warnings().empty());
}

TEST_CASE("an import is looked for beside its file first, then in the folders in order",
          "[hardware]") {
  const Folders folders;
  folders.own_file("sub/root.json", definition_text(mapped("A", "Gpio", "P"), import_of("c.json")));
  folders.sdk_file("c.json", definition_text(pin("P", 3)));
  const auto load = [&] {
    return DefinitionSet::load(folders.own / "sub/root.json", {folders.own, folders.sdk})
        ->manifest_value("Gpio", "A");
  };

  CHECK(load() == "3");
  folders.own_file("c.json", definition_text(pin("P", 2)));
  CHECK(load() == "2");
  folders.own_file("sub/c.json", definition_text(pin("P", 1)));
  CHECK(load() == "1");
}

TEST_CASE("the nearer file wins, with a warning when the values differ", "[hardware]") {
  const Folders folders;
  folders.own_file("root.json", definition_text(pin("A", 1) + "," + pin("SAME", 5),
                                                import_of("x.json") + "," + import_of("y.json")));
  folders.own_file("x.json", definition_text(pin("X", 4), import_of("deep.json")));
  folders.own_file("y.json", definition_text(pin("A", 2) + "," + pin("B", 2)));
  folders.own_file("deep.json", definition_text(pin("B", 3) + "," + pin("SAME", 5)));

  const auto set = folders.load("root.json");

  REQUIRE(set.has_value());
  CHECK(set->manifest_value("Gpio", "A") == "1");
  CHECK(set->manifest_value("Gpio", "B") == "2");
  REQUIRE(set->warnings().size() == 2);
  CHECK(set->warnings()[0].find("A (") == 0);
  CHECK(set->warnings()[1].find("B (") == 0);
}

TEST_CASE("a mapping sees the names of its own file, not those of the importing one",
          "[hardware]") {
  const Folders folders;
  folders.own_file("root.json", definition_text(pin("P", 1), import_of("x.json")));
  folders.own_file("x.json", definition_text(mapped("A", "Gpio", "P") + "," + pin("P", 2)));

  CHECK(folders.load("root.json")->manifest_value("Gpio", "A") == "2");

  folders.own_file("x.json", definition_text(mapped("A", "Gpio", "P")));
  check_refused(folders.load("root.json"), Errc::invalid_argument, "which is not defined");
}

TEST_CASE("an import cycle is refused with its chain", "[hardware]") {
  const Folders folders;
  folders.own_file("a.json", definition_text("", import_of("b.json") + "," + import_of("c.json")));
  folders.own_file("b.json", definition_text("", import_of("c.json")));
  folders.own_file("c.json", definition_text("", import_of("./b.json")));

  const auto result = folders.load("a.json");

  check_refused(result, Errc::invalid_argument, "b.json -> ");
  CHECK(result.error().message().ends_with("b.json"));
}

TEST_CASE("a file imported twice is read once", "[hardware]") {
  const Folders folders;
  folders.own_file("a.json", definition_text("", import_of("b.json") + "," + import_of("c.json")));
  folders.own_file("b.json", definition_text("", import_of("c.json")));
  folders.own_file("c.json", definition_text(pin("P", 1)));

  CHECK(folders.load("a.json")->files().size() == 3);
}

TEST_CASE("broken mappings are refused with their chain", "[hardware]") {
  const Folders folders;
  folders.own_file("unknown.json",
                   definition_text(mapped("A", "Gpio", "B") + "," + mapped("B", "Gpio", "NONE")));
  folders.own_file("circle.json",
                   definition_text(mapped("A", "Gpio", "B") + "," + mapped("B", "Gpio", "A")));
  folders.own_file("type.json", definition_text(mapped("A", "Uart", "P") + "," + pin("P", 1)));
  folders.own_file("twice.json", definition_text(pin("P", 1) + "," + pin("P", 2)));
  std::string chain = pin("A0", 1);
  for (int i = 1; i <= 17; ++i) {
    const auto name = "A" + std::to_string(i);
    chain += "," + mapped(name, "Gpio", "A" + std::to_string(i - 1));
  }
  folders.own_file("long.json", definition_text(chain));

  check_refused(folders.load("unknown.json"), Errc::invalid_argument, "B (");
  check_refused(folders.load("circle.json"), Errc::invalid_argument, "circle");
  check_refused(folders.load("type.json"), Errc::invalid_argument, "type Uart to type Gpio");
  check_refused(folders.load("twice.json"), Errc::invalid_argument, "defined twice");
  check_refused(folders.load("long.json"), Errc::invalid_argument, "more than 16 mappings");
}

TEST_CASE("a missing file or import is refused with the search path", "[hardware]") {
  const Folders folders;
  folders.own_file("a.json", definition_text("", import_of("none.json")));

  check_refused(folders.load("none.json"), Errc::not_found, folders.sdk.string());
  check_refused(folders.load("a.json"), Errc::not_found, folders.sdk.string());
  check_refused(DefinitionSet::load("a.json", {}), Errc::not_found, "no folder");
  check_refused(DefinitionSet::load(folders.own / "b.json", {}), Errc::not_found, "b.json");
}

TEST_CASE("depth, files and peripherals have limits", "[hardware]") {
  const Folders folders;
  for (int i = 0; i < 17; ++i) {
    folders.own_file("d" + std::to_string(i) + ".json",
                     definition_text("", import_of("d" + std::to_string(i + 1) + ".json")));
  }
  folders.own_file("d17.json", definition_text(""));
  std::string many = pin("A0", 1);
  for (int i = 1; i < 4000; ++i) {
    many += "," + pin("A" + std::to_string(i), 1);
  }
  folders.own_file("many.json", definition_text(many, import_of("more.json")));
  folders.own_file("more.json", definition_text(many));

  CHECK(folders.load("d2.json").has_value());
  check_refused(folders.load("d1.json"), Errc::too_large, "nested deeper than 16");
  check_refused(folders.load("many.json"), Errc::too_large, "4096 peripherals");
}

TEST_CASE("manifest_value refuses other types, C-only names and unknown names", "[hardware]") {
  const Folders folders;
  folders.own_file("a.json",
                   definition_text(pin("USER_LED_RED", 8) + "," + pin("USER_LED_GREEN", 9) +
                                   R"(,{"Name":"CS","Type":"int","MainCoreHeaderValue":"-1"})"));
  const auto set = folders.load("a.json");
  REQUIRE(set.has_value());

  const auto type = set->manifest_value("Uart", "USER_LED_RED");
  const auto c_only = set->manifest_value("int", "CS");
  const auto unknown = set->manifest_value("Gpio", "USER_LED_RAD");

  REQUIRE_FALSE(type.has_value());
  CHECK(type.error().code() == Errc::invalid_argument);
  CHECK(type.error().hint().next.find("\"Gpio\"") != std::string::npos);
  REQUIRE_FALSE(c_only.has_value());
  CHECK(c_only.error().code() == Errc::invalid_argument);
  CHECK(c_only.error().message().find("C code only") != std::string::npos);
  REQUIRE_FALSE(unknown.has_value());
  CHECK(unknown.error().code() == Errc::not_found);
  CHECK(unknown.error().hint().next.starts_with("did you mean USER_LED_RED"));
  CHECK(unknown.error().message().find(folders.sdk.string()) != std::string::npos);
}
