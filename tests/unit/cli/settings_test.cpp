// SPDX-License-Identifier: MIT
#include "cli/environment/settings.h"

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch.hpp>

#include "sphere/core/file.h"

namespace {

namespace fs = std::filesystem;
using sphere::cli::load_settings;

// A system file, a user file and a project two levels below its sphere.json.
struct Place {
  sphere::TemporaryDirectory directory = sphere::TemporaryDirectory::create("settings").value();
  fs::path root = directory.path();
  sphere::cli::SettingsPlaces places{.system_file = root / "system.json",
                                     .user_file = root / "user.json",
                                     .current_directory = root / "project" / "a" / "b"};
  Place() { fs::create_directories(places.current_directory); }

  void write(std::string_view name, std::string_view text) const {
    REQUIRE(sphere::write_file(root / name, text, {.sync = false}));
  }
};

}  // namespace

TEST_CASE("nearer files win", "[cli]") {
  const Place place;
  place.write("system.json", R"({"output": "yaml", "color": "never", "signKey": "shop"})");
  place.write("user.json", R"({"output": "tsv", // mine
    "device": "vb-user"})");
  place.write("project/sphere.json", R"({"device": "vb-project"})");

  const auto settings = load_settings(place.places);

  REQUIRE(settings);
  CHECK(settings->output.value == "tsv");
  CHECK(settings->output.origin == (place.root / "user.json").string());
  CHECK(settings->color.value == "never");
  CHECK(settings->sign_key.value == "shop");
  CHECK(settings->device.value == "vb-project");
  CHECK(settings->warnings.empty());
}

TEST_CASE("a project decides nothing about trust", "[cli]") {
  const Place place;
  place.write("project/sphere.json",
              R"({"trust": ["x"], "service": "x", "color": "always", "sdkDirectory": "/x"})");

  const auto settings = load_settings(place.places);

  REQUIRE(settings);
  CHECK(settings->color.value.empty());
  CHECK(settings->sdk_directory.value.empty());
  CHECK(settings->warnings.size() == 4);
}

TEST_CASE("an unknown key is a warning", "[cli]") {
  const Place place;
  place.write("user.json", R"({"otuput": "json"})");
  const auto settings = load_settings(place.places);
  REQUIRE(settings);
  CHECK(settings->warnings.size() == 1);
}

TEST_CASE("a broken file is an error with its place", "[cli]") {
  const auto* const text = GENERATE("{\n  \"output\" \"json\"}", "{\n  \"output\": 5}",
                                    "{\n  \"output\": \"xml\"}", "\n [1]");
  const Place place;
  place.write("user.json", text);

  const auto settings = load_settings(place.places);

  REQUIRE_FALSE(settings);
  CHECK(settings.error().code() == sphere::Errc::corrupt);
  CHECK(settings.error().message().find("user.json") != std::string::npos);
  CHECK(settings.error().message().find("line 2, column") != std::string::npos);
}

TEST_CASE("the user's file names the library for tokens, a project's file does not", "[cli]") {
  const Place place;
  place.write("project/sphere.json", R"({"pkcs11": {"module": "/tmp/evil.so"}})");
  place.write("user.json", R"({"pkcs11": {"module": "token.so", "slot": 1}})");
  const auto settings = load_settings(place.places);
  REQUIRE(settings);
  CHECK(settings->token_module == (place.root / "token.so").string());
  REQUIRE(settings->warnings.size() == 2);
  CHECK(settings->warnings[0].find("unknown key \"pkcs11.slot\"") != std::string::npos);
  CHECK(settings->warnings[1].find("not read from a project") != std::string::npos);

  place.write("user.json", R"({"pkcs11": {"module": "/usr/lib/token.so"}})");
  CHECK(load_settings(place.places)->token_module == "/usr/lib/token.so");
  for (const auto* const text :
       {R"({"pkcs11": "/usr/lib/token.so"})", R"({"pkcs11": {"module": ""}})",
        R"({"pkcs11": {"module": ["a"]}})", R"({"pkcs11": null})"}) {
    place.write("user.json", text);
    const auto broken = load_settings(place.places);
    REQUIRE_FALSE(broken);
    CHECK(broken.error().message().find("pkcs11") != std::string::npos);
  }
}

TEST_CASE("missing files are no settings", "[cli]") {
  const Place place;
  const auto settings = load_settings(place.places);
  REQUIRE(settings);
  CHECK(settings->output.value.empty());
}

TEST_CASE("the SDK is found beside the program", "[cli]") {
  const Place place;
  fs::create_directories(place.root / "build" / "sdk");
  place.write("build/sdk/VERSION", "26.11.0\n");
  const auto program = place.root / "build" / "bin" / "sphere";

  CHECK(sphere::cli::find_sdk({}, program) == place.root / "build" / "sdk");
  sphere::cli::Settings settings;
  settings.sdk_directory.value = "/some/sdk/";
  CHECK(sphere::cli::find_sdk(settings, program) == "/some/sdk");
}
