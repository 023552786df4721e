// SPDX-License-Identifier: MIT
#include "device-agent/virtual-board/board_log.h"

#include <cstddef>
#include <filesystem>
#include <string>

#include <catch2/catch.hpp>

#include "sphere/core/clock.h"
#include "sphere/core/file.h"

using sphere::virtual_board::BoardLog;

namespace {

struct Fixture {
  sphere::TemporaryDirectory directory = *sphere::TemporaryDirectory::create();
  std::filesystem::path path = directory.path() / "board.log";
  sphere::SystemClock clock;

  [[nodiscard]] std::string text() const {
    return *sphere::read_text_file(path, 2 * BoardLog::kLimit);
  }
};

}  // namespace

TEST_CASE_METHOD(Fixture, "output reaches the log in whole lines", "[virtual-board]") {
  auto log = BoardLog::open(path, clock);
  REQUIRE(log);
  log->add_output("one\ntw");
  log->add_output("o\nthr");
  CHECK(text() == "one\ntwo\n");
  CHECK(log->last_output_line() == "two");
  log->end_output();
  CHECK(text() == "one\ntwo\nthr\n");
}

TEST_CASE_METHOD(Fixture, "the board's own lines carry the time", "[virtual-board]") {
  auto log = BoardLog::open(path, clock);
  REQUIRE(log);
  log->say("ready");
  CHECK_THAT(text(), Catch::Matchers::EndsWith("Z sphere-board: ready\n"));
  CHECK(log->last_output_line().empty());
}

TEST_CASE_METHOD(Fixture, "a line without an end is cut into pieces", "[virtual-board]") {
  auto log = BoardLog::open(path, clock);
  REQUIRE(log);
  log->add_output(std::string(BoardLog::kLongestLine + 10, 'x') + "\n");
  CHECK(text().size() == BoardLog::kLongestLine + 12);
}

TEST_CASE_METHOD(Fixture, "the log begins anew at 1 MiB, also over several runs",
                 "[virtual-board]") {
  const std::string line(1023, 'y');
  for (int run = 0; run < 3; ++run) {
    auto log = BoardLog::open(path, clock);
    REQUIRE(log);
    for (int i = 0; i < 500; ++i) {
      log->add_output(line + "\n");
    }
  }
  CHECK(std::filesystem::file_size(path) == (1500 - 1024) * 1024);
  CHECK(std::filesystem::file_size(path.string() + ".1") == BoardLog::kLimit);
}
