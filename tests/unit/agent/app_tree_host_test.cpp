// SPDX-License-Identifier: MIT
#include <cerrno>
#include <cstddef>
#include <fcntl.h>
#include <filesystem>
#include <span>
#include <string>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include <catch2/catch.hpp>

#include "device-agent/agent/sandbox/app_tree.h"
#include "device-agent/agent/sandbox/plan.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/file.h"
#include "tests/support/sandbox_bench.h"
#include "tests/support/skip.h"
#include "tests/support/test_package.h"

namespace {

using namespace sphere;         // NOLINT(google-build-using-namespace): test
using namespace sphere::agent;  // NOLINT(google-build-using-namespace): test
namespace fs = std::filesystem;

Plan sample_plan() {
  Plan plan;
  plan.component_id = test::test_guid(1).text();
  plan.uid = kFirstAppUid;
  return plan;
}

struct Bench {
  TemporaryDirectory folder = TemporaryDirectory::create().value();
  test::TestSigner signer = {};
  Plan plan = sample_plan();

  std::vector<std::byte> package(std::byte content) const {
    return signer.package(
        {.manifest = test::manifest_text(test::test_guid(1)),
         .files = {{"bin/app",
                    {.content = std::vector<std::byte>(100000, content), .executable = true}},
                   {"data/empty", {}}},
         .component = test::test_guid(1),
         .image = test::test_guid(2)});
  }
  [[nodiscard]] fs::path place() const { return folder.path() / "100000.1"; }
  [[nodiscard]] fs::path image() const { return place() / image_path(plan).substr(1); }
};

int error_of_opening(const fs::path& path) {
  const Descriptor file{::open(path.c_str(), O_WRONLY | O_CLOEXEC)};
  return file ? 0 : errno;
}

}  // namespace

TEST_CASE("an app's tree has the files of its package, for everybody to read whatever the mask") {
  SKIP_WITHOUT_SANDBOX();
  const Bench bench;
  const auto package = bench.package(std::byte{1});
  const auto mask = ::umask(077);

  const auto tree = AppTree::build(bench.plan, package, bench.place());
  ::umask(mask);

  REQUIRE(tree);
  struct stat status = {};
  REQUIRE(::stat((bench.image() / "bin/app").c_str(), &status) == 0);
  CHECK((status.st_mode & 07777U) == 0755);
  CHECK(status.st_size == 100000);
  CHECK((*tree)->identity("/bin/app") == FileIdentity{status.st_dev, status.st_ino});
  REQUIRE(::stat((bench.image() / "data").c_str(), &status) == 0);
  CHECK((status.st_mode & 07777U) == 0755);
  REQUIRE(::stat((bench.image() / "data/empty").c_str(), &status) == 0);
  CHECK((status.st_mode & 07777U) == 0644);
  CHECK((*tree)->suits(bench.plan, package));
  CHECK((*tree)->holds(package));
}

TEST_CASE("an app's tree cannot be written, by way of another mount neither") {
  SKIP_WITHOUT_SANDBOX();
  const Bench bench;
  const auto tree = AppTree::build(bench.plan, bench.package(std::byte{1}), bench.place());
  REQUIRE(tree);
  const auto other = bench.folder.path() / "other";
  fs::create_directory(other);

  REQUIRE(::mount(bench.image().c_str(), other.c_str(), nullptr, MS_BIND, nullptr) == 0);
  const bool writable =
      ::mount(nullptr, other.c_str(), nullptr, MS_REMOUNT | MS_BIND, nullptr) == 0;

  CHECK(error_of_opening(bench.image() / "bin/app") == EROFS);
  CHECK(error_of_opening(bench.place() / "etc/hosts") == EROFS);
  CHECK((!writable || error_of_opening(other / "bin/app") == EROFS));
  ::umount2(other.c_str(), MNT_DETACH);
}

TEST_CASE("a tree serves no package or plan but its own") {
  SKIP_WITHOUT_SANDBOX();
  const Bench bench;
  const auto package = bench.package(std::byte{1});
  const auto tree = AppTree::build(bench.plan, package, bench.place());
  REQUIRE(tree);
  auto damaged = package;
  damaged[damaged.size() / 2] ^= std::byte{1};
  auto resolver = bench.plan;
  resolver.resolver = "127.53.0.9";
  auto libraries = bench.plan;
  libraries.libraries = "/lib";

  CHECK_FALSE((*tree)->holds(bench.package(std::byte{2})));
  CHECK((*tree)->suits(bench.plan, damaged));
  CHECK_FALSE((*tree)->holds(damaged));
  CHECK_FALSE((*tree)->suits(resolver, package));
  CHECK_FALSE((*tree)->suits(libraries, package));
}

TEST_CASE("a tree ends with its object, and what a killed agent has left is no matter") {
  SKIP_WITHOUT_SANDBOX();
  const Bench bench;
  fs::create_directory(bench.place());

  auto tree = AppTree::build(bench.plan, bench.package(std::byte{1}), bench.place());
  REQUIRE(tree);
  CHECK(fs::exists(bench.image()));
  tree->reset();

  CHECK_FALSE(fs::exists(bench.place()));
}

TEST_CASE("a package that is none gives no tree and leaves nothing") {
  SKIP_WITHOUT_SANDBOX();
  const Bench bench;
  const std::vector<std::byte> nothing(4096);

  const auto tree = AppTree::build(bench.plan, nothing, bench.place());

  REQUIRE_FALSE(tree);
  CHECK(tree.error().layer == "L3");
  CHECK_FALSE(fs::exists(bench.place()));
}
