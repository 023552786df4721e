// SPDX-License-Identifier: MIT
#include "sphere/project/build.h"

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>

#include <catch2/catch.hpp>

#include "sphere/core/file.h"

namespace {

namespace fs = std::filesystem;
using sphere::project::build;

// A project whose cmake is a script: "--preset" configures, "--build" builds.
struct Project {
  sphere::TemporaryDirectory directory = sphere::TemporaryDirectory::create("build").value();
  fs::path root = directory.path();

  explicit Project(std::string_view script) {
    fs::create_directories(root / "sdk" / "CMakeFiles");
    fs::create_directories(root / "bin");
    write("CMakePresets.json",
          R"({"configurePresets": [{"name": "ARM-Debug"}, {"name": "base", "hidden": true}]})");
    REQUIRE(sphere::write_file(root / "bin" / "cmake", "#!/bin/sh\n" + std::string{script},
                               {.mode = 0755, .sync = false}));
    ::setenv("PATH", ((root / "bin").string() + ":/usr/bin:/bin").c_str(), 1);
  }
  void write(std::string_view name, std::string_view text) const {
    REQUIRE(sphere::write_file(root / name, text, {.sync = false}));
  }
  [[nodiscard]] sphere::project::BuildRequest request() const {
    return {.directory = root, .sdk_directory = root / "sdk"};
  }
};

constexpr std::string_view kGood = R"(
case $1 in
  --preset) mkdir -p other; echo "-- Build files have been written to: $PWD/other" ;;
  --build) echo "$AzureSphereDefaultSDKDir" > "$2/sdk"; touch "$2/a.imagepackage" ;;
esac
)";

}  // namespace

TEST_CASE("build runs cmake twice and finds the package", "[project]") {
  const Project project{kGood};
  const auto built = build(project.request());
  REQUIRE(built);
  REQUIRE(built->packages.size() == 1);
  CHECK(built->packages.front() == project.root / "other" / "a.imagepackage");
  CHECK(built->log == project.root / "out" / "ARM-Debug" / "sphere-build.log");
  // With a slash at its end: old projects append names to it.
  CHECK(sphere::read_text_file(project.root / "other" / "sdk", 4096).value() ==
        (project.root / "sdk").string() + "/\n");
}

TEST_CASE("a failed build shows the end of its log", "[project]") {
  const Project project{R"([ "$1" = --preset ] && exit 0; seq 100; exit 3)"};
  const auto built = build(project.request());
  REQUIRE_FALSE(built);
  CHECK(built.error().code() == sphere::Errc::io);
  CHECK(built.error().message().find("building the project failed\n81\n82\n") != std::string::npos);
  CHECK(built.error().message().ends_with("\n100"));
}

TEST_CASE("what is missing is named before anything runs", "[project]") {
  const Project project{"touch ran"};
  auto request = project.request();
  request.preset = "ARM-Debgu";
  CHECK(build(request).error().hint().next == "give --preset one of: ARM-Debug");
  request.preset = "base";
  CHECK(build(request).error().code() == sphere::Errc::not_found);
  request = project.request();
  request.sdk_directory.clear();
  CHECK(build(request).error().hint().reason == "local.sdk-missing");
  request = project.request();
  request.directory = project.root / "bin";
  CHECK(build(request).error().hint().reason == "local.file-not-found");
  project.write("CMakePresets.json", "{");
  CHECK(build(project.request()).error().code() == sphere::Errc::corrupt);
  CHECK_FALSE(fs::exists(project.root / "ran"));
}

TEST_CASE("a missing cmake names its package", "[project]") {
  const Project project{""};
  ::setenv("PATH", "/nonexistent", 1);
  CHECK(build(project.request()).error().hint().reason == "local.tool-missing");
}

TEST_CASE("an interrupted build stops its tools", "[project]") {
  const Project project{"sleep 300"};
  const std::atomic<bool> interrupted{true};
  auto request = project.request();
  request.interrupted = &interrupted;
  CHECK(build(request).error().code() == sphere::Errc::cancelled);
}
