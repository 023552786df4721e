// SPDX-License-Identifier: MIT
#include "cli/batch/job_lines.h"

#include <array>
#include <atomic>
#include <cstddef>
#include <string>
#include <string_view>
#include <thread>
#include <unistd.h>
#include <vector>

#include <catch2/catch.hpp>

#include "cli/batch/batch.h"
#include "cli/commands/command.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/result.h"

using sphere::Errc;
using sphere::cli::Arguments;
using sphere::cli::JobLines;
using sphere::cli::parse_job;

namespace {

struct Pipe {
  Pipe() {
    std::array<int, 2> ends = {};
    REQUIRE(::pipe(ends.data()) == 0);
    reading.reset(ends[0]);
    writing.reset(ends[1]);
  }
  void write(std::string_view text) const {
    while (!text.empty()) {
      const auto count = ::write(writing.get(), text.data(), text.size());
      REQUIRE(count > 0);
      text.remove_prefix(static_cast<std::size_t>(count));
    }
  }
  sphere::Descriptor reading;
  sphere::Descriptor writing;
};

const sphere::cli::CommandSpec& sign() { return sphere::cli::command_of("image-package sign"); }
const sphere::cli::CommandSpec& pack() {
  return sphere::cli::command_of("image-package pack-application");
}

std::string_view refusal(const sphere::cli::CommandSpec& command, std::string_view line) {
  const auto job = parse_job(command, {}, line);
  REQUIRE_FALSE(job);
  CHECK(job.error().code() == Errc::invalid_argument);
  CHECK_FALSE(job.error().hint().next.empty());
  return job.error().hint().reason;
}

}  // namespace

TEST_CASE("a job gives the options of its line, and those of the command line behind", "[cli]") {
  Arguments defaults;
  defaults.values = {{"key", {"release"}}, {"force", {}}, {"batch", {}}, {"no-sync", {}}};
  const auto job =
      parse_job(sign(), defaults, R"({"image-package":"a b","key":"other","force":false})");
  REQUIRE(job);
  CHECK(job->value("image-package") == "a b");
  CHECK(job->value("key") == "other");
  CHECK_FALSE(job->has("force"));
  CHECK_FALSE(job->has("batch"));
  CHECK(job->has("no-sync"));
  CHECK(parse_job(sign(), defaults, R"({"image-package":"a"})")->value("key") == "release");
}

TEST_CASE("a job of pack-application has lists, numbers and flags", "[cli]") {
  const auto job = parse_job(
      pack(), {},
      R"({"package-directory":"d","output-file":"o","executables":["/bin/a","b"],"build-date":7,)"
      R"("target-api-set":"12","no-check":true,"hardware-definitions":"one"})");
  REQUIRE(job);
  CHECK(job->list("executables") == std::vector<std::string>{"/bin/a", "b"});
  CHECK(job->list("hardware-definitions") == std::vector<std::string>{"one"});
  CHECK(job->value("build-date") == "7");
  CHECK(job->has("no-check"));
}

TEST_CASE("a malformed job says what is wrong with it", "[cli]") {
  for (const std::string_view line : {"", "x", "[]", "\"a\"", "{", "{\"image-package\":\"a\"} x",
                                      "{\"image-package\":\"a\",\"image-package\":\"b\"}"}) {
    INFO(line);
    CHECK(refusal(sign(), line) == "usage.bad-value");
  }
  CHECK(refusal(sign(), R"({"image-package":1.5})") == "usage.bad-value");
  CHECK(refusal(sign(), R"({"image-package":["a"]})") == "usage.bad-value");
  CHECK(refusal(sign(), R"({"image-package":"a\u0000b"})") == "usage.bad-value");
  CHECK(refusal(sign(), R"({"image-package":"a","force":"yes"})") == "usage.bad-value");
  CHECK(refusal(pack(), R"({"package-directory":"d","output-file":"o","format":"v9"})") ==
        "usage.bad-value");
  CHECK(refusal(sign(), R"({"image-package":"a","keys":"b"})") == "usage.unknown-option");
  for (const auto* name : {"batch", "jobs", "no-sync", "output-directory", "output", "verbose"}) {
    CHECK(refusal(sign(), std::string{R"({"image-package":"a",")"} + name + R"(":"1"})") ==
          "usage.unknown-option");
  }
  CHECK(refusal(sign(), "{}") == "usage.missing-option");
  CHECK(refusal(sign(), R"({"image-package":""})") == "usage.missing-option");
  CHECK(refusal(pack(), R"({"package-directory":"d"})") == "usage.missing-option");
  const auto job = parse_job(sign(), {}, R"({"image-package":"a","kye":"b"})");
  CHECK(job.error().message().find("\"key\"") != std::string::npos);
}

TEST_CASE("job lines are counted, blank ones left out, and long ones cut", "[cli]") {
  Pipe pipe;
  const std::atomic<bool> interrupted = false;
  std::thread writer{[&pipe] {
    pipe.write("one\n\n  \r\nfour\n" + std::string(200'000, 'x') + "\nsix\nlast without end");
    pipe.writing.reset();
  }};
  JobLines lines{pipe.reading.get(), interrupted};
  std::vector<sphere::cli::JobLine> all;
  while (true) {
    const auto some = lines.next(2);
    REQUIRE(some);
    CHECK(some->size() <= 2);
    if (some->empty()) {
      break;
    }
    all.insert(all.end(), some->begin(), some->end());
  }
  writer.join();
  REQUIRE(all.size() == 5);
  CHECK(all[0].number == 1);
  CHECK(all[0].text == "one");
  CHECK(all[1].number == 4);
  CHECK(all[2].number == 5);
  CHECK(all[2].is_too_long);
  CHECK(all[3].number == 6);
  CHECK(all[3].text == "six");
  CHECK(all[4].number == 7);
  CHECK(all[4].text == "last without end");
}

TEST_CASE("a slow line is given before the next one comes", "[cli]") {
  const Pipe pipe;
  const std::atomic<bool> interrupted = false;
  JobLines lines{pipe.reading.get(), interrupted};
  pipe.write("first\nsecond has no end yet");
  const auto some = lines.next(256);
  REQUIRE(some);
  REQUIRE(some->size() == 1);
  CHECK(some->front().text == "first");
  pipe.write("\n");
  CHECK(lines.next(256)->front().text == "second has no end yet");
}
