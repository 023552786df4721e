// SPDX-License-Identifier: MIT
#include "sphere/core/file.h"

#include <cstddef>
#include <fcntl.h>
#include <filesystem>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <catch2/catch.hpp>

#include "libsdk/src/core/aside.h"
#include "sphere/core/result.h"

namespace fs = std::filesystem;
using sphere::Errc;

namespace {

sphere::TemporaryDirectory make_directory() {
  auto directory = sphere::TemporaryDirectory::create("sphere-test");
  REQUIRE(directory);
  return *std::move(directory);
}

std::size_t count_entries(const fs::path& directory) {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator{directory}, {}));
}

}  // namespace

TEST_CASE("write_file then read_text_file gives the same text", "[core]") {
  const auto directory = make_directory();
  const auto path = directory.path() / "a";

  REQUIRE(sphere::write_file(path, "content", {.mode = 0640}));

  CHECK(*sphere::read_text_file(path, 100) == "content");
  struct stat status = {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777U) == 0640U);
  CHECK(count_entries(directory.path()) == 1);
}

TEST_CASE("write_file replaces a file, or refuses to", "[core]") {
  const auto directory = make_directory();
  const auto path = directory.path() / "a";
  REQUIRE(sphere::write_file(path, "old"));

  const auto refused = sphere::write_file(path, "new", {.replace = false});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code() == Errc::exists);
  CHECK(*sphere::read_text_file(path, 100) == "old");

  REQUIRE(sphere::write_file(path, "new"));
  CHECK(*sphere::read_text_file(path, 100) == "new");
  CHECK(count_entries(directory.path()) == 1);
}

TEST_CASE("an AtomicFile without commit leaves the target as it was", "[core]") {
  const auto directory = make_directory();
  const auto path = directory.path() / "a";
  REQUIRE(sphere::write_file(path, "old"));
  {
    auto file = sphere::AtomicFile::create(path);
    REQUIRE(file);
    REQUIRE(file->write({}));
  }
  CHECK(*sphere::read_text_file(path, 100) == "old");
  CHECK(count_entries(directory.path()) == 1);
}

TEST_CASE("an AtomicFile that may not replace refuses a file that appeared meanwhile", "[core]") {
  const auto directory = make_directory();
  const auto path = directory.path() / "a";
  auto file = sphere::AtomicFile::create(path, {.replace = false});
  REQUIRE(file);
  REQUIRE(sphere::write_file(path, "first"));

  const auto committed = file->commit();

  REQUIRE_FALSE(committed);
  CHECK(committed.error().code() == Errc::exists);
  CHECK(*sphere::read_text_file(path, 100) == "first");
}

TEST_CASE("a file with the longest possible name can be written", "[core]") {
  const auto directory = make_directory();
  const auto path = directory.path() / std::string(255, 'n');

  REQUIRE(sphere::write_file(path, "old"));
  REQUIRE(sphere::write_file(path, "new"));

  CHECK(*sphere::read_text_file(path, 100) == "new");
  CHECK(count_entries(directory.path()) == 1);
}

TEST_CASE("read_file names what is wrong", "[core]") {
  const auto directory = make_directory();
  REQUIRE(sphere::write_file(directory.path() / "big", std::string(101, 'x')));

  CHECK(sphere::read_file(directory.path() / "none", 100).error().code() == Errc::not_found);
  CHECK(sphere::read_file(directory.path() / "none", 100).error().hint().reason ==
        "local.file-not-found");
  CHECK(sphere::read_file(directory.path(), 100).error().code() == Errc::invalid_argument);
  CHECK(sphere::read_file(directory.path() / "big", 100).error().code() == Errc::too_large);
  CHECK(sphere::read_file(directory.path() / "big", 101));
}

TEST_CASE("write_file into a missing directory is not_found", "[core]") {
  const auto directory = make_directory();
  const auto written = sphere::write_file(directory.path() / "none" / "a", "x");
  REQUIRE_FALSE(written);
  CHECK(written.error().code() == Errc::not_found);
}

TEST_CASE("FileLock is held by one at a time", "[core]") {
  const auto directory = make_directory();
  const auto path = directory.path() / "lock";
  {
    const auto first = sphere::FileLock::try_acquire(path);
    REQUIRE(first);
    const auto second = sphere::FileLock::try_acquire(path);
    REQUIRE_FALSE(second);
    CHECK(second.error().code() == Errc::busy);
  }
  CHECK(sphere::FileLock::try_acquire(path));
}

TEST_CASE("make_directories makes all missing parents", "[core]") {
  const auto directory = make_directory();
  CHECK(sphere::make_directories(directory.path() / "a/b/c"));
  CHECK(sphere::make_directories(directory.path() / "a/b/c"));
  CHECK(fs::is_directory(directory.path() / "a/b/c"));
  REQUIRE(sphere::write_file(directory.path() / "f", "x"));
  CHECK_FALSE(sphere::make_directories(directory.path() / "f/g"));
}

TEST_CASE("a FileGroup puts all its files in place, and each failure stays with its file",
          "[core]") {
  for (const bool sync : {true, false}) {
    const auto directory = make_directory();
    REQUIRE(sphere::write_file(directory.path() / "b", "old"));
    sphere::FileGroup group{sync};
    for (const char* name : {"a", "b", "c", "sub/d"}) {
      fs::create_directories((directory.path() / name).parent_path());
      auto file = sphere::AtomicFile::create(directory.path() / name,
                                             {.replace = name[0] != 'c', .sync = false});
      REQUIRE(file);
      REQUIRE(file->write(std::as_bytes(std::span{std::string_view{"new"}})));
      group.add(*std::move(file));
    }
    REQUIRE(sphere::write_file(directory.path() / "c", "in the way"));
    CHECK_FALSE(fs::exists(directory.path() / "a"));

    const auto results = group.commit();

    REQUIRE(results.size() == 4);
    CHECK(group.size() == 0);
    CHECK(results[0].has_value());
    CHECK(results[1].has_value());
    REQUIRE_FALSE(results[2].has_value());
    CHECK(results[2].error().code() == Errc::exists);
    CHECK(results[3].has_value());
    CHECK(*sphere::read_text_file(directory.path() / "a", 100) == "new");
    CHECK(*sphere::read_text_file(directory.path() / "b", 100) == "new");
    CHECK(*sphere::read_text_file(directory.path() / "c", 100) == "in the way");
    CHECK(*sphere::read_text_file(directory.path() / "sub/d", 100) == "new");
    CHECK(count_entries(directory.path()) == 4);
  }
}

TEST_CASE("a FileGroup that is given up leaves nothing behind", "[core]") {
  const auto directory = make_directory();
  {
    sphere::FileGroup group;
    auto file = sphere::AtomicFile::create(directory.path() / "a", {.sync = false});
    REQUIRE(file);
    group.add(*std::move(file));
  }
  CHECK(count_entries(directory.path()) == 0);
}

TEST_CASE("an AtomicFile replaces a file that appeared after it was created", "[core]") {
  const auto directory = make_directory();
  const auto path = directory.path() / "a";
  auto file = sphere::AtomicFile::create(path);
  REQUIRE(file);
  REQUIRE(sphere::write_file(path, "other"));
  REQUIRE(file->commit());
  CHECK(sphere::read_text_file(path, 100)->empty());
  CHECK(count_entries(directory.path()) == 1);
}

TEST_CASE("a commit removes what a dead process left beside the target, and nothing else",
          "[core]") {
  const auto directory = make_directory();
  const auto path = directory.path() / "a";
  const bool is_there = GENERATE(false, true);
  if (is_there) {
    REQUIRE(sphere::write_file(path, "old"));
  }
  for (const auto* const name : {".a.sphere-0", ".a.sphere-1", ".b.sphere-0", ".a", "a.sphere-0"}) {
    REQUIRE(::close(::open((directory.path() / name).c_str(), O_CREAT | O_WRONLY, 0600)) == 0);
  }
  REQUIRE(sphere::write_file(path, "new"));
  CHECK(*sphere::read_text_file(path, 100) == "new");
  CHECK(count_entries(directory.path()) == 4);
  CHECK(fs::exists(directory.path() / ".b.sphere-0"));
  CHECK(fs::exists(directory.path() / ".a"));
}

TEST_CASE("a commit leaves the file alone that another writer is about to move", "[core]") {
  const auto directory = make_directory();
  const auto path = directory.path() / "a";
  REQUIRE(sphere::write_file(path, "old"));
  auto other =
      sphere::create_aside(path);  // As a writer on a file system without O_TMPFILE has it.
  REQUIRE(other);
  CHECK(other->path == directory.path() / ".a.sphere-0");
  REQUIRE(sphere::write_file(path, "new"));
  CHECK(count_entries(directory.path()) == 2);
  auto second = sphere::create_aside(path);
  REQUIRE(second);
  CHECK(second->path == directory.path() / ".a.sphere-1");
  const auto first_name = other->path;
  other->descriptor.reset();  // As if it had been killed.
  auto third = sphere::create_aside(path);
  REQUIRE(third);
  CHECK(third->path == first_name);
  struct stat status = {};
  REQUIRE(::fstat(third->descriptor.get(), &status) == 0);
  CHECK(status.st_nlink == 1);
}

TEST_CASE("writers of one file at one time all succeed and leave nothing behind", "[core]") {
  const auto directory = make_directory();
  const auto path = directory.path() / "a";
  constexpr int kWriters = 4;
  constexpr int kTurns = 200;
  std::vector<std::thread> threads;
  std::vector<int> good(kWriters);
  for (int writer = 0; writer < kWriters; ++writer) {
    threads.emplace_back([&good, &path, writer] {
      for (int turn = 0; turn < kTurns; ++turn) {
        const auto text = std::string(1000, static_cast<char>('a' + writer));
        good[static_cast<std::size_t>(writer)] +=
            sphere::write_file(path, text, {.sync = false}) ? 1 : 0;
      }
    });
  }
  for (auto& thread : threads) {
    thread.join();
  }
  CHECK(good == std::vector<int>(kWriters, kTurns));
  const auto text = sphere::read_text_file(path, 10'000);
  REQUIRE(text);
  CHECK(*text == std::string(1000, text->front()));
  CHECK(count_entries(directory.path()) == 1);
}

TEST_CASE("AtomicFile does not take the place of a pipe or device", "[core]") {
  const auto directory = make_directory();
  const auto path = directory.path() / "pipe";
  REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  fs::create_symlink("pipe", directory.path() / "link");

  for (const auto* name : {"pipe", "link"}) {
    const auto written = sphere::write_file(directory.path() / name, "x");
    REQUIRE_FALSE(written);
    CHECK(written.error().code() == Errc::invalid_argument);
  }
  CHECK(fs::is_fifo(path));
  CHECK(fs::is_symlink(directory.path() / "link"));
}

TEST_CASE("move_directory fills an empty directory that is there and stays the same", "[core]") {
  const auto directory = make_directory();
  const auto source = directory.path() / "source";
  const auto target = directory.path() / "target";
  REQUIRE(sphere::make_directories(source / "a"));
  REQUIRE(sphere::write_file(source / "a" / "b", "x"));
  REQUIRE(sphere::write_file(source / "c", "y"));
  REQUIRE(sphere::make_directories(target));
  struct stat before = {};
  REQUIRE(::stat(target.c_str(), &before) == 0);

  REQUIRE(sphere::move_directory(source, target));

  struct stat after = {};
  REQUIRE(::stat(target.c_str(), &after) == 0);
  CHECK(before.st_ino == after.st_ino);
  CHECK(fs::exists(target / "a" / "b"));
  CHECK(fs::exists(target / "c"));
  CHECK_FALSE(fs::exists(source));
}

TEST_CASE("move_directory undoes a half-made move", "[core]") {
  const auto directory = make_directory();
  const auto source = directory.path() / "source";
  const auto target = directory.path() / "target";
  for (const auto* name : {"a", "b", "c"}) {
    REQUIRE(sphere::make_directories(source / name));
  }
  REQUIRE(sphere::make_directories(target / "b" / "in the way"));

  CHECK_FALSE(sphere::move_directory(source, target));

  CHECK(std::distance(fs::directory_iterator{source}, {}) == 3);
  CHECK(std::distance(fs::directory_iterator{target}, {}) == 1);
}

TEST_CASE("absolute_path takes dots away", "[core]") {
  const auto path = sphere::absolute_path("/a/./b/../c");
  REQUIRE(path);
  CHECK(*path == "/a/c");
}
