// SPDX-License-Identifier: MIT
#include "sphere/project/template.h"

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch.hpp>

#include "sphere/core/file.h"

namespace {

namespace fs = std::filesystem;
using sphere::project::create_project;
using sphere::project::list_templates;

// An SDK with one template and two boards.
struct Sdk {
  sphere::TemporaryDirectory directory = sphere::TemporaryDirectory::create("sdk").value();
  fs::path root = directory.path() / "sdk";
  fs::path target = directory.path() / "app";

  Sdk() {
    write("Templates/small/template.json",
          R"({"kind": "highLevel", "languages": ["c"], "description": "Small"})");
    write("Templates/small/main.c", "// @SPHERE_NAME@ on @SPHERE_BOARD@ @SPHERE_BOARD@\n");
    write("Templates/small/app_manifest.json", R"({"ComponentId": "@SPHERE_COMPONENT_ID@"})");
    write("Templates/small/deep/er/.hidden", "@OTHER@");
    write("HardwareDefinitions/one/sample_appliance.json", "{}");
    write("HardwareDefinitions/two/sample_appliance.json", "{}");
    write("HardwareDefinitions/inc/hw/one.h", "");
  }
  void write(std::string_view name, std::string_view text) const {
    fs::create_directories((root / name).parent_path());
    REQUIRE(sphere::write_file(root / name, text, {.sync = false}));
  }
  [[nodiscard]] std::string read(std::string_view name) const {
    return sphere::read_text_file(target / name, 4096).value();
  }
  // Nothing of a refused project is left.
  [[nodiscard]] bool is_clean() const {
    return std::distance(fs::directory_iterator{directory.path()}, {}) == 1;
  }
};

}  // namespace

TEST_CASE("list_templates describes what is there", "[project]") {
  const Sdk sdk;
  const auto templates = list_templates(sdk.root);
  REQUIRE(templates);
  REQUIRE(templates->size() == 1);
  CHECK(templates->front().name == "small");
  CHECK(templates->front().kind == "highLevel");
  CHECK(templates->front().languages == std::vector<std::string>{"c"});
  CHECK(templates->front().description == "Small");
}

TEST_CASE("list_templates says what is wrong", "[project]") {
  const Sdk sdk;
  CHECK(list_templates("/nonexistent").error().hint().reason == "local.sdk-missing");
  CHECK(list_templates({}).error().hint().reason == "local.sdk-missing");

  const auto* const text = GENERATE("{", R"({"kind": "highLevel", "languages": ["c"]})",
                                    R"({"kind": "highLevel", "description": "x"})");
  sdk.write("Templates/broken/template.json", text);
  CHECK(list_templates(sdk.root).error().code() == sphere::Errc::corrupt);
}

TEST_CASE("create_project fills in the place holders", "[project]") {
  const Sdk sdk;
  const auto files = create_project(
      {.directory = sdk.target, .template_name = "small", .name = "", .board = "two"}, sdk.root);

  REQUIRE(files);
  CHECK(*files == std::vector<std::string>{"app_manifest.json", "deep/er/.hidden", "main.c"});
  CHECK(sdk.read("main.c") == "// app on two two\n");
  CHECK(sdk.read("deep/er/.hidden") == "@OTHER@");
  CHECK(sdk.read("app_manifest.json").size() ==
        std::string_view{R"({"ComponentId": "00000000-0000-0000-0000-000000000000"})"}.size());
}

TEST_CASE("two projects have two component ids", "[project]") {
  const Sdk first;
  const Sdk second;
  for (const Sdk* sdk : {&first, &second}) {
    REQUIRE(create_project(
        {.directory = sdk->target, .template_name = "small", .name = "x", .board = "one"},
        sdk->root));
  }
  CHECK(first.read("app_manifest.json") != second.read("app_manifest.json"));
}

TEST_CASE("an empty directory is taken, another one is not", "[project]") {
  const Sdk sdk;
  fs::create_directory(sdk.target);
  CHECK(create_project(
      {.directory = sdk.target / "", .template_name = "small", .name = "", .board = "one"},
      sdk.root));
  const auto again = create_project(
      {.directory = sdk.target, .template_name = "small", .name = "", .board = "one"}, sdk.root);
  REQUIRE_FALSE(again);
  CHECK(again.error().code() == sphere::Errc::exists);
}

TEST_CASE("a refused project leaves nothing", "[project]") {
  using sphere::Errc;
  const Sdk sdk;
  const auto code = [&sdk](const sphere::project::NewProject& request) {
    const auto result = create_project(request, sdk.root);
    return result ? Errc::io : result.error().code();
  };
  CHECK(code({.directory = sdk.target, .template_name = "smaller", .name = "x", .board = "one"}) ==
        Errc::not_found);
  CHECK(code({.directory = sdk.target, .template_name = "small", .name = "x", .board = "inc"}) ==
        Errc::not_found);
  CHECK(code({.directory = sdk.target, .template_name = "small", .name = "x y", .board = "one"}) ==
        Errc::invalid_argument);
  CHECK(code({.directory = sdk.target,
              .template_name = "small",
              .name = std::string(65, 'x'),
              .board = "one"}) == Errc::invalid_argument);
  CHECK(code({.directory = sdk.target,
              .template_name = "small",
              .name = "x",
              .board = "one",
              .language = "cpp"}) == Errc::invalid_argument);
  // A file too large to be a source fails while copying.
  sdk.write("Templates/small/zzz", std::string((1U << 20U) + 1, 'x'));
  CHECK(code({.directory = sdk.target, .template_name = "small", .name = "x", .board = "one"}) ==
        Errc::too_large);
  CHECK(sdk.is_clean());
}
