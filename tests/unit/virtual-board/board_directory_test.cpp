// SPDX-License-Identifier: MIT
#include "device-agent/virtual-board/board_directory.h"

#include <string>
#include <string_view>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "device-agent/virtual-board/options.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"

using namespace sphere::virtual_board;
using sphere::Errc;

namespace {

struct Fixture {
  sphere::TemporaryDirectory directory = *sphere::TemporaryDirectory::create();

  [[nodiscard]] sphere::Result<BoardFile> read(std::string_view text) const {
    REQUIRE(sphere::write_file(directory.path() / "board.json", text));
    return read_board_file(directory.path());
  }
};

}  // namespace

TEST_CASE_METHOD(Fixture, "board.json gives identity and port", "[virtual-board]") {
  const auto file = read(
      R"({"name": "desk", "boardId": "mt3620-rdb", "profile": "development", "port": 4430,
          "trustPublicTestKey": false})");
  REQUIRE(file);
  CHECK(file->identity.name == "desk");
  CHECK(file->identity.board_id == "mt3620-rdb");
  CHECK_FALSE(file->identity.trust_public_test_key);
  CHECK(file->port == 4430);
}

TEST_CASE_METHOD(Fixture, "a broken board.json is refused with its path", "[virtual-board]") {
  for (const auto* const text :
       {"", "[]", "{", R"({"name": "desk"})", R"({"boardId": "mt3620-rdb"})",
        R"({"name": "desk", "boardId": "mt3620-rdb", "port": 65536})",
        R"({"name": "desk", "boardId": "mt3620-rdb", "port": "1"})",
        R"({"name": "", "boardId": "mt3620-rdb"})"}) {
    INFO(text);
    const auto file = read(text);
    REQUIRE_FALSE(file);
    CHECK(file.error().code() == Errc::corrupt);
    CHECK(file.error().message().find("board.json") != std::string::npos);
  }
}

TEST_CASE_METHOD(Fixture, "no board is not_found", "[virtual-board]") {
  const auto file = read_board_file(directory.path());
  REQUIRE_FALSE(file);
  CHECK(file.error().code() == Errc::not_found);
}

TEST_CASE_METHOD(Fixture, "one sphere-board at a time holds the lock", "[virtual-board]") {
  {
    const auto lock = lock_board(directory.path());
    REQUIRE(lock);
    CHECK(*sphere::read_text_file(directory.path() / "lock", 100) ==
          std::to_string(::getpid()) + "\n");
    const auto second = lock_board(directory.path());
    REQUIRE_FALSE(second);
    CHECK(second.error().code() == Errc::busy);
    CHECK(second.error().hint().value == std::to_string(::getpid()));
  }
  CHECK(lock_board(directory.path()));
}

TEST_CASE("the command line is read in full or refused", "[virtual-board]") {
  using Arguments = std::vector<const char*>;
  const auto options = parse_options(
      Arguments{"--directory", "/a", "--runtime", "/b", "--sdk", "/c", "--ready-fd", "5"});
  REQUIRE(options);
  CHECK(options->directory == "/a");
  CHECK(options->runtime == "/b");
  CHECK(options->sdk == "/c");
  CHECK(options->ready_fd == 5);
  CHECK(parse_options(Arguments{"--help"})->help);

  CHECK_FALSE(parse_options(Arguments{}));
  CHECK_FALSE(parse_options(Arguments{"--directory", "/a"}));
  CHECK_FALSE(parse_options(Arguments{"--directory", "/a", "--runtime"}));
  CHECK_FALSE(parse_options(Arguments{"--directory", "", "--runtime", "/b"}));
  CHECK_FALSE(parse_options(Arguments{"--directory", "/a", "--runtime", "/b", "--ready-fd", "5x"}));
  const auto unknown = parse_options(Arguments{"--colour", "red"});
  REQUIRE_FALSE(unknown);
  CHECK(unknown.error().message().find("--colour") != std::string::npos);
}
