// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <iterator>
#include <optional>
#include <string>
#include <sys/stat.h>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/image/pack.h"
#include "sphere/image/package.h"
#include "tests/unit/image/golden.h"

namespace fs = std::filesystem;
using sphere::Errc;
using sphere::image::parse_package;
using sphere::image::unpack;

namespace {

struct Fixture {
  Fixture() : bytes{sphere::test::golden_package()} {
    auto made = sphere::TemporaryDirectory::create();
    REQUIRE(made);
    directory.emplace(*std::move(made));
    auto parsed = parse_package(bytes);
    REQUIRE(parsed);
    package.emplace(*std::move(parsed));
    target = directory->path() / "out";
  }

  std::ptrdiff_t entries() const {
    return std::distance(fs::directory_iterator{directory->path()}, {});
  }

  sphere::test::Bytes bytes;
  std::optional<sphere::TemporaryDirectory> directory;
  std::optional<sphere::image::Package> package;
  fs::path target;
};

mode_t mode_of(const fs::path& path) {
  struct stat status = {};
  REQUIRE(::lstat(path.c_str(), &status) == 0);
  return status.st_mode;
}

}  // namespace

TEST_CASE_METHOD(Fixture, "unpack writes every file with its mode, whatever the umask", "[image]") {
  const auto old = ::umask(0077);
  const auto paths = unpack(*package, target);
  ::umask(old);

  REQUIRE(paths);
  CHECK(*paths == std::vector<std::string>{"app_manifest.json", "bin/app", "certs/ca/root.pem",
                                           "certs/empty.txt", "main.txt"});
  CHECK(*sphere::read_file(target / "bin/app", 10'000) == sphere::test::pattern(5000, 3));
  CHECK(sphere::read_file(target / "certs/empty.txt", 10)->empty());
  CHECK(mode_of(target / "bin/app") == (S_IFREG | 0755U));
  CHECK(mode_of(target / "main.txt") == (S_IFREG | 0644U));
  CHECK(mode_of(target) == (S_IFDIR | 0755U));
  CHECK(mode_of(target / "certs") == (S_IFDIR | 0755U));
  CHECK(entries() == 1);
}

TEST_CASE_METHOD(Fixture, "unpack then pack gives the same signed bytes", "[image]") {
  REQUIRE(unpack(*package, target));
  const auto& metadata = package->metadata;

  const auto packed =
      sphere::image::pack_application({.directory = target,
                                       .manifest_text = std::string{sphere::test::kGoldenManifest},
                                       .executables = {"/bin/app"},
                                       .name = metadata.debug.name,
                                       .component_id = metadata.identity.component_id,
                                       .image_id = metadata.identity.image_id,
                                       .build_time = metadata.debug.build_time,
                                       .api_set = 12},
                                      sphere::test::GoldenSigner{});

  REQUIRE(packed);
  CHECK(
      std::equal(packed->bytes.begin(), packed->bytes.end() - 64, bytes.begin(), bytes.end() - 64));
}

TEST_CASE_METHOD(Fixture, "unpack fills an empty directory, also one named with a slash",
                 "[image]") {
  REQUIRE(sphere::make_directories(target));
  CHECK(unpack(*package, target / ""));
  CHECK(fs::exists(target / "bin/app"));
}

TEST_CASE_METHOD(Fixture, "unpack changes nothing where something is", "[image]") {
  SECTION("a directory with a file") {
    REQUIRE(sphere::make_directories(target));
    REQUIRE(sphere::write_file(target / "mine", "x"));
    CHECK(unpack(*package, target).error().code() == Errc::exists);
    CHECK(*sphere::read_text_file(target / "mine", 10) == "x");
  }
  SECTION("a file") {
    REQUIRE(sphere::write_file(target, "x"));
    CHECK(unpack(*package, target).error().code() == Errc::exists);
  }
  SECTION("a symbolic link") {
    REQUIRE(sphere::make_directories(directory->path() / "empty"));
    fs::create_directory_symlink("empty", target);
    CHECK(unpack(*package, target).error().code() == Errc::exists);
    CHECK(fs::is_empty(directory->path() / "empty"));
    fs::remove(directory->path() / "empty");
  }
  CHECK(entries() == 1);
}

TEST_CASE_METHOD(Fixture, "unpack into a missing directory leaves nothing behind", "[image]") {
  CHECK(unpack(*package, target / "a/b").error().code() == Errc::not_found);
  CHECK(entries() == 0);
}

TEST_CASE_METHOD(Fixture, "unpack stays inside its directory for paths that parsing would refuse",
                 "[image]") {
  const auto path = GENERATE(values<std::string>({"../evil", "/evil", "bin/../../evil"}));
  package->files.files.front().path = path;

  CHECK_FALSE(unpack(*package, target));

  CHECK(entries() == 0);
  CHECK_FALSE(fs::exists("/evil"));
}
