// SPDX-License-Identifier: MIT
#include "sphere/recovery/journal.h"

#include <filesystem>
#include <fstream>
#include <string>
#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "sphere/core/file.h"

namespace sphere::recovery {
namespace {

const crypto::Sha256Digest kSet = {};

TEST_CASE("a journal tells the next run where the last one ended") {
  const auto directory = TemporaryDirectory::create().value();
  {
    auto journal = Journal::open(directory.path() / "recovery", "1-2", kSet).value();
    CHECK_FALSE(journal.last());
    REQUIRE(journal.note({.step = "erase"}, 1000));
    REQUIRE(journal.note({.step = "write", .image = "a.bin"}, 1001));
  }
  const auto journal = Journal::open(directory.path() / "recovery", "1-2", kSet).value();

  REQUIRE(journal.last());
  CHECK(journal.last()->line.step == "write");
  CHECK(journal.last()->line.image == "a.bin");
  CHECK(journal.last()->set_sha256 == std::string(64, '0'));
}

TEST_CASE("a journal moves from the place to the device, and finds that device's own") {
  const auto directory = TemporaryDirectory::create().value();
  {
    auto journal = Journal::open(directory.path(), "1-2", kSet).value();
    REQUIRE(journal.note({.step = "enter"}, 1));
    REQUIRE(journal.rename_to("abcd"));
    REQUIRE(journal.note({.step = "erase"}, 2));
  }
  CHECK_FALSE(std::filesystem::exists(directory.path() / "1-2.jsonl"));
  struct stat status = {};
  REQUIRE(::stat((directory.path() / "abcd.jsonl").c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);

  auto journal = Journal::open(directory.path(), "7-1", kSet).value();
  CHECK_FALSE(journal.last());
  REQUIRE(journal.rename_to("abcd"));
  REQUIRE(journal.last());
  CHECK(journal.last()->line.step == "erase");
}

TEST_CASE("a torn or foreign journal is no harm") {
  const auto directory = TemporaryDirectory::create().value();
  {
    auto journal = Journal::open(directory.path(), "b", kSet).value();
    REQUIRE(journal.note({.step = "write", .image = "x"}, 1));
  }
  std::ofstream{directory.path() / "b.jsonl", std::ios::app} << "{\"step\":\"ver";
  CHECK(Journal::open(directory.path(), "b", kSet).value().last()->line.step == "write");

  std::ofstream{directory.path() / "c.jsonl"} << "\0\0 nothing";
  CHECK_FALSE(Journal::open(directory.path(), "c", kSet).value().last());
}

TEST_CASE("a board's name cannot lead the journal elsewhere") {
  const auto directory = TemporaryDirectory::create().value();

  auto journal = Journal::open(directory.path() / "j", "../../x", kSet).value();
  REQUIRE(journal.rename_to("../y/z"));

  CHECK(std::filesystem::exists(directory.path() / "j" / "___y_z.jsonl"));
}

}  // namespace
}  // namespace sphere::recovery
