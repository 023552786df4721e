// SPDX-License-Identifier: MIT
#include "sphere/project/pack.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "sphere/core/file.h"
#include "sphere/core/guid.h"
#include "sphere/core/result.h"
#include "sphere/crypto/key.h"
#include "sphere/crypto/signer.h"
#include "sphere/image/package.h"
#include "tests/unit/image/elf_builder.h"

namespace fs = std::filesystem;
using sphere::Errc;
using sphere::project::pack_application;
using sphere::project::PackOptions;

namespace {

constexpr std::string_view kManifest = R"({
  "SchemaVersion": 1,
  "Name": "blink",
  "ComponentId": "2F074B0F-d99d-4692-82d9-ef93a7d6463c",
  "EntryPoint": "/bin/app",
  "CmdArgs": [],
  "Capabilities": { "Gpio": [ "$LED" ] },
  "ApplicationType": "Default"
}
)";

constexpr std::string_view kDefinition = R"json({
  "Metadata": { "Type": "Azure Sphere Hardware Definition", "Version": 1 },
  "Description": { "Name": "Board", "MainCoreHeaderFileTopContent": [] },
  "Peripherals": [
    { "Name": "LED", "Type": "Gpio", "MainCoreHeaderValue": "(8)", "AppManifestValue": 8 }
  ]
})json";

std::string replaced(std::string_view text, std::string_view what, std::string_view with) {
  std::string result{text};
  const auto at = result.find(what);
  REQUIRE(at != std::string::npos);
  return result.replace(at, what.size(), with);
}

struct Fixture {
  Fixture() {
    auto made = sphere::TemporaryDirectory::create();
    REQUIRE(made);
    directory.emplace(*std::move(made));
    const auto root = directory->path();
    REQUIRE(sphere::make_directories(root / "approot/bin"));
    REQUIRE(sphere::make_directories(root / "hardware"));
    program({});
    manifest(kManifest);
    REQUIRE(sphere::write_file(root / "hardware/board.json", kDefinition));
    auto key = sphere::crypto::PrivateKey::generate();
    REQUIRE(key);
    signer = std::make_unique<sphere::crypto::KeySigner>(*std::move(key), std::nullopt);
    options = {.directory = root / "approot",
               .manifest = root / "app_manifest.json",
               .hardware_definitions = {root / "hardware"},
               .target_definition = "board.json",
               .api_set = "12",
               .build_time = 1'735'689'600,
               .reproducible = true};
  }

  void program(const sphere::test::ElfFile& file) const {
    REQUIRE(
        sphere::write_file(directory->path() / "approot/bin/app", sphere::test::build_elf(file)));
  }
  void manifest(std::string_view text) const {
    REQUIRE(sphere::write_file(directory->path() / "app_manifest.json", text));
  }
  std::string manifest_text() const {
    return *sphere::read_text_file(directory->path() / "app_manifest.json", 65'536);
  }
  sphere::Error refusal() const {
    auto packed = pack_application(options, *signer);
    REQUIRE_FALSE(packed);
    return std::move(packed).error();
  }

  std::optional<sphere::TemporaryDirectory> directory;
  std::unique_ptr<sphere::crypto::KeySigner> signer;
  PackOptions options;
};

std::string stored_manifest(const std::vector<std::byte>& bytes) {
  const auto package = sphere::image::parse_package(bytes);
  REQUIRE(package);
  const auto file =
      sphere::image::read_file_content(package->files, *package->files.find("app_manifest.json"));
  REQUIRE(file);
  const auto content = file->bytes();
  std::string text;
  std::transform(content.begin(), content.end(), std::back_inserter(text),
                 [](std::byte byte) { return std::to_integer<char>(byte); });
  return text;
}

}  // namespace

TEST_CASE_METHOD(Fixture, "an app is packed with its names resolved and its API set", "[project]") {
  const auto packed = pack_application(options, *signer);

  REQUIRE(packed);
  CHECK(packed->warnings.empty());
  CHECK(packed->name == "blink");
  CHECK(packed->component_id.text() == "2f074b0f-d99d-4692-82d9-ef93a7d6463c");
  CHECK(stored_manifest(packed->bytes) ==
        R"({"SchemaVersion":1,"Name":"blink",)"
        R"("ComponentId":"2F074B0F-d99d-4692-82d9-ef93a7d6463c","EntryPoint":"/bin/app",)"
        R"("CmdArgs":[],"Capabilities":{"Gpio":[8]},"ApplicationType":"Default",)"
        R"("TargetApplicationRuntimeVersion":12})");
  const auto package = sphere::image::parse_package(packed->bytes);
  REQUIRE(package);
  CHECK(package->metadata.depends->at(0).version == 12);
  CHECK(package->files.find("bin/app")->executable);
  CHECK(manifest_text() == kManifest);
}

TEST_CASE_METHOD(Fixture, "a hardware definition may be named as a file", "[project]") {
  options.hardware_definitions = {directory->path() / "hardware/board.json"};
  options.target_definition.clear();
  CHECK(pack_application(options, *signer));
}

TEST_CASE_METHOD(Fixture, "the API set comes from option, manifest, SDK or the newest known",
                 "[project]") {
  const auto number = [&] {
    const auto packed = pack_application(options, *signer);
    REQUIRE(packed);
    return sphere::image::parse_package(packed->bytes)->metadata.depends->at(0).version;
  };
  options.api_set = "5+Beta2004";
  CHECK(number() == 5);
  options.api_set.clear();
  CHECK(number() == 15);
  for (const auto* name : {"9", "10", "20+Beta2501", "20-x86_64"}) {
    REQUIRE(sphere::make_directories(directory->path() / "sdk/Sysroots" / name));
  }
  options.sdk_directory = directory->path() / "sdk";
  CHECK(number() == 10);
  manifest(replaced(kManifest, "\"SchemaVersion\"",
                    "\"TargetApplicationRuntimeVersion\": 7, \"SchemaVersion\""));
  CHECK(number() == 7);
}

TEST_CASE_METHOD(Fixture, "a real-time app without hardware definition keeps its manifest verbatim",
                 "[project]") {
  const auto text = replaced(replaced(kManifest, "Default", "RealTimeCapable"), "\"$LED\"", "8");
  manifest(text);
  program({.type = 2,
           .flags = 0x05000200,
           .interpreter = "",
           .needed = {},
           .stack_flags = std::nullopt,
           .address = 0x00100000});
  options.hardware_definitions.clear();
  options.target_definition.clear();

  const auto packed = pack_application(options, *signer);

  REQUIRE(packed);
  CHECK(stored_manifest(packed->bytes) == text);
  CHECK(packed->warnings ==
        std::vector<std::string>{"a real-time app has no API set; 12 is ignored"});
}

TEST_CASE_METHOD(Fixture, "a real-time app with hardware definition gets a compact manifest",
                 "[project]") {
  manifest(replaced(kManifest, "Default", "RealTimeCapable"));
  program({.type = 2,
           .flags = 0x05000200,
           .interpreter = "",
           .needed = {},
           .stack_flags = std::nullopt,
           .address = 0x00100000});
  options.api_set.clear();

  const auto packed = pack_application(options, *signer);

  REQUIRE(packed);
  CHECK(stored_manifest(packed->bytes) ==
        R"({"SchemaVersion":1,"Name":"blink",)"
        R"("ComponentId":"2F074B0F-d99d-4692-82d9-ef93a7d6463c","EntryPoint":"/bin/app",)"
        R"("CmdArgs":[],"Capabilities":{"Gpio":[8]},"ApplicationType":"RealTimeCapable"})");
  const auto package = sphere::image::parse_package(packed->bytes);
  REQUIRE(package);
  REQUIRE(package->metadata.depends);
  CHECK(package->metadata.depends->empty());
}

TEST_CASE_METHOD(Fixture, "a missing or malformed ComponentId is made and written back last",
                 "[project]") {
  const auto bad = GENERATE(values<std::string>({"", "no-guid"}));
  const auto text = bad.empty() ? replaced(kManifest,
                                           "  \"ComponentId\": \"2F074B0F-d99d-4692-82d9-"
                                           "ef93a7d6463c\",\n",
                                           "")
                                : replaced(kManifest, "2F074B0F-d99d-4692-82d9-ef93a7d6463c", bad);
  manifest(text);
  REQUIRE(::chmod((directory->path() / "app_manifest.json").c_str(), 0640) == 0);

  SECTION("with a warning") {
    const auto packed = pack_application(options, *signer);
    REQUIRE(packed);
    REQUIRE(packed->warnings.size() >= 1);
    const auto id = packed->component_id.text();
    CHECK_THAT(packed->warnings.back(), Catch::Contains(id));
    CHECK_THAT(manifest_text(), Catch::Contains(id));
    CHECK_THAT(stored_manifest(packed->bytes), Catch::Contains(id));
    struct stat status = {};
    REQUIRE(::stat((directory->path() / "app_manifest.json").c_str(), &status) == 0);
    CHECK((status.st_mode & 0777U) == 0640U);
  }
  SECTION("not when frozen") {
    options.frozen = true;
    CHECK(refusal().hint().reason == "package.manifest");
    CHECK(manifest_text() == text);
  }
  SECTION("not when the package cannot be kept") {
    const auto packed = pack_application(options, *signer, [](auto) -> sphere::Result<void> {
      return sphere::fail(sphere::Errc::no_space, "the disk is full");
    });
    REQUIRE_FALSE(packed);
    CHECK(packed.error().code() == sphere::Errc::no_space);
    CHECK(manifest_text() == text);
  }
  SECTION("not when packing fails") {
    fs::remove(directory->path() / "approot/bin/app");
    CHECK(refusal().hint().reason == "package.executable");
    CHECK(manifest_text() == text);
  }
}

TEST_CASE_METHOD(Fixture, "what cannot run on a board is refused unless nothing is checked",
                 "[project]") {
  program({.machine = 62, .interpreter = "/lib64/ld-linux-x86-64.so.2"});
  const auto error = refusal();
  CHECK(error.hint().reason == "package.executable");
  options.check = false;
  CHECK(pack_application(options, *signer));
}

TEST_CASE_METHOD(Fixture, "pack_application names what is wrong", "[project]") {
  SECTION("no manifest") {
    options.manifest = directory->path() / "none.json";
    CHECK(refusal().code() == Errc::not_found);
  }
  SECTION("a broken manifest") {
    manifest(replaced(kManifest, "\"SchemaVersion\": 1", "\"SchemaVersion\": 2"));
    CHECK(refusal().hint().reason == "package.manifest");
  }
  SECTION("a name without a hardware definition") {
    options.hardware_definitions.clear();
    options.target_definition.clear();
    CHECK(refusal().hint().reason == "package.hardware-definition");
  }
  SECTION("directories without a definition's name") {
    options.target_definition.clear();
    CHECK(refusal().hint().reason == "usage.missing-option");
  }
  SECTION("an unknown name") {
    manifest(replaced(kManifest, "$LED", "$LAMP"));
    CHECK(refusal().hint().reason == "package.hardware-definition");
  }
  SECTION("an entry point that is not there") {
    manifest(replaced(kManifest, "/bin/app", "/bin/blink"));
    CHECK(refusal().message() ==
          "the entry point \"/bin/blink\" is no file of the package directory");
  }
  SECTION("an API set that is none") {
    for (const auto* text : {"x", "0", "12+", "12+Beta", "12+Beta20x4", "-1", "99999999999"}) {
      options.api_set = text;
      CHECK(refusal().hint().reason == "usage.bad-value");
    }
  }
}
