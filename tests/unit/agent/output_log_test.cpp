// SPDX-License-Identifier: MIT
#include "device-agent/agent/apps/output_log.h"

#include <chrono>
#include <filesystem>
#include <string>

#include <catch2/catch.hpp>

#include "sphere/core/file.h"
#include "tests/support/fake_clock.h"

namespace {

using namespace std::chrono_literals;
using namespace sphere;  // NOLINT(google-build-using-namespace): test
using sphere::agent::OutputLog;

}  // namespace

TEST_CASE("output is cut into lines, long ones at 1024 bytes and marked") {
  const auto folder = TemporaryDirectory::create().value();
  const test::FakeClock clock;
  OutputLog log{folder.path(), clock};

  log.feed("one\ntw");
  log.feed("o\n" + std::string(1024, 'x') + "\n" + std::string(1025, 'y') + "\nlast");
  log.finish();

  const auto lines = log.after(0);
  REQUIRE(lines.size() == 5);
  CHECK(lines[0].text == "one");
  CHECK(lines[1].text == "two");
  CHECK(lines[1].seq == 2);
  CHECK(lines[2].text.size() == 1024);
  CHECK_FALSE(lines[2].cut);
  CHECK(lines[3].text.size() == 1024);
  CHECK(lines[3].cut);
  CHECK(lines[4].text == "last");
}

TEST_CASE("lines and their numbers outlive the log object; a torn last line is skipped") {
  const auto folder = TemporaryDirectory::create().value();
  const test::FakeClock clock;
  {
    OutputLog log{folder.path(), clock};
    log.feed("one\ntwo\n");
  }
  const auto path = folder.path() / "output.log";
  const auto text = read_text_file(path, 4096).value();
  REQUIRE(write_file(path, text + "{\"seq\":3,\"at\":\"20"));

  OutputLog log{folder.path(), clock};
  log.feed("three\n");

  const auto lines = log.after(1);
  REQUIRE(lines.size() == 2);
  CHECK(lines[0].text == "two");
  CHECK(lines[1].text == "three");
  CHECK(lines[1].seq == 3);
  const OutputLog again{folder.path(), clock};
  CHECK(again.after(0).size() == 3);
}

TEST_CASE("more than the rate is dropped and counted, and comes back with time") {
  const auto folder = TemporaryDirectory::create().value();
  test::FakeClock clock;
  OutputLog log{folder.path(), clock};
  const std::string line = std::string(1023, 'x') + "\n";

  for (int i = 0; i < 200; ++i) {
    log.feed(line);  // 200 KiB, of which the burst takes 128.
  }
  clock.advance(2s);
  log.feed("again\n");

  const auto lines = log.after(0, 1000);
  REQUIRE(lines.size() >= 2);
  CHECK(lines.back().text == "again");
  CHECK(lines[lines.size() - 2].text == "[72 lines dropped: more than 64 KiB/s]");
  CHECK(lines.back().seq == 130);
}

TEST_CASE("memory and disk stay bounded, whatever an app prints") {
  const auto folder = TemporaryDirectory::create().value();
  test::FakeClock clock;
  OutputLog log{folder.path(), clock};

  for (int i = 0; i < 3000; ++i) {
    log.feed("line " + std::to_string(i) + std::string(400, ' ') + "\n");
    clock.advance(100ms);
  }

  std::size_t bytes = 0;
  for (const auto& line : log.after(0, 100000)) {
    bytes += line.text.size();
  }
  CHECK(bytes <= OutputLog::kRingBytes);
  std::size_t disk = 0;
  for (const auto& entry : std::filesystem::directory_iterator{folder.path()}) {
    disk += entry.file_size();
  }
  CHECK(disk <= 2 * OutputLog::kSegmentBytes);
  CHECK(log.after(2999).front().text.starts_with("line 2999"));
}

TEST_CASE("bytes that are no text are shown escaped") {
  const auto folder = TemporaryDirectory::create().value();
  const test::FakeClock clock;
  OutputLog log{folder.path(), clock};
  log.feed("a\xff\n");
  CHECK(log.after(0).front().text == "a\\xff");
}

TEST_CASE("closing wakes whoever waits") {
  const auto folder = TemporaryDirectory::create().value();
  const test::FakeClock clock;
  OutputLog log{folder.path(), clock};
  log.close();
  log.wait_after(0, 1h);
  CHECK(log.closed());
}
