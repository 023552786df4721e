// SPDX-License-Identifier: MIT
#include <applibs/storage.h>
#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <memory>
#include <string>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "sphere/core/file.h"
#include "tests/unit/applibs/fake_broker.h"

extern "C" {
#include "device-agent/applibs/src/broker_protocol.h"
}

namespace fs = std::filesystem;
using sphere::Descriptor;
using sphere::test::BrokerOfProcess;
using sphere::test::hand_over;

namespace {

// The package root is the folder in which this program was started.
const fs::path kRoot = fs::current_path();

struct Free {
  void operator()(char* text) const { std::free(text); }  // NOLINT: from malloc, as documented
};
using Text = std::unique_ptr<char, Free>;

// A folder in the package root.
struct PackageFolder {
  PackageFolder() : name("storage-test-" + std::to_string(::getpid())) {
    fs::create_directory(kRoot / name);
  }
  PackageFolder(const PackageFolder&) = delete;
  PackageFolder& operator=(const PackageFolder&) = delete;
  PackageFolder(PackageFolder&&) = delete;
  PackageFolder& operator=(PackageFolder&&) = delete;
  ~PackageFolder() { fs::remove_all(kRoot / name); }
  std::string name;
};

}  // namespace

TEST_CASE("Paths in the package are absolute, also after chdir", "[applibs]") {
  REQUIRE(::chdir("/") == 0);
  const Text path(Storage_GetAbsolutePathInImagePackage("certs/a.pem"));
  REQUIRE(::chdir(kRoot.c_str()) == 0);

  REQUIRE(path);
  CHECK(path.get() == (kRoot / "certs/a.pem").string());
}

TEST_CASE("Paths that could leave the package are refused", "[applibs]") {
  for (const char* path : {"", "/a", ".", "./a", "..", "../a", "a/../b", "a/..", ".hidden"}) {
    INFO(path);
    errno = 0;
    CHECK(Storage_GetAbsolutePathInImagePackage(path) == nullptr);
    CHECK(errno == EINVAL);
    errno = 0;
    CHECK(Storage_OpenFileInImagePackage(path) == -1);
    CHECK(errno == EINVAL);
  }
  CHECK(Storage_GetAbsolutePathInImagePackage(nullptr) == nullptr);
  CHECK(errno == EFAULT);
  CHECK(Storage_OpenFileInImagePackage(nullptr) == -1);
  CHECK(errno == EFAULT);
}

TEST_CASE("OpenFileInImagePackage opens regular files for reading", "[applibs]") {
  const PackageFolder folder;
  REQUIRE(sphere::write_file(kRoot / folder.name / "a", "text", {.mode = 0644}));

  const Descriptor file(Storage_OpenFileInImagePackage((folder.name + "/a").c_str()));

  REQUIRE(file.get() >= 0);
  std::string content(4, '\0');
  CHECK(::read(file.get(), content.data(), content.size()) == 4);
  CHECK(content == "text");
  CHECK((::fcntl(file.get(), F_GETFD) & FD_CLOEXEC) != 0);
  CHECK((::fcntl(file.get(), F_GETFL) & O_ACCMODE) == O_RDONLY);
}

TEST_CASE("OpenFileInImagePackage refuses what is no regular file", "[applibs]") {
  const PackageFolder folder;
  REQUIRE(::mkfifo((kRoot / folder.name / "fifo").c_str(), 0600) == 0);

  CHECK(Storage_OpenFileInImagePackage((folder.name + "/none").c_str()) == -1);
  CHECK(errno == ENOENT);
  CHECK(Storage_OpenFileInImagePackage(folder.name.c_str()) == -1);
  CHECK(errno == EISDIR);
  CHECK(Storage_OpenFileInImagePackage((folder.name + "/fifo").c_str()) == -1);
  CHECK(errno == EACCES);
}

TEST_CASE("The mutable file is the broker's descriptor", "[applibs]") {
  BrokerOfProcess broker;
  broker.answer(hand_over(::open("/dev/null", O_RDWR | O_CLOEXEC), SPHERE_KIND_FILE));

  const Descriptor file(Storage_OpenMutableFile());

  CHECK(file.get() >= 0);
  REQUIRE(broker.requests().size() == 1);
  CHECK(broker.requests()[0].verb == SPHERE_VERB_FILE_OPEN);
  CHECK(broker.requests()[0].payload.empty());
}

TEST_CASE("Mutable file calls fail with the broker's error", "[applibs]") {
  const int status = GENERATE(EACCES, EIO, EAGAIN, ENOENT);
  BrokerOfProcess broker;
  broker.answer({.status = status});
  broker.answer({.status = status});

  CHECK(Storage_OpenMutableFile() == -1);
  CHECK(errno == status);
  errno = 0;
  CHECK(Storage_DeleteMutableFile() == -1);
  CHECK(errno == status);
}

TEST_CASE("DeleteMutableFile succeeds with the broker", "[applibs]") {
  BrokerOfProcess broker;
  broker.answer({});

  CHECK(Storage_DeleteMutableFile() == 0);
  CHECK(broker.requests().at(0).verb == SPHERE_VERB_FILE_DELETE);
}
