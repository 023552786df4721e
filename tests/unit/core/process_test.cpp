// SPDX-License-Identifier: MIT
#include "sphere/core/process.h"

#include <array>
#include <chrono>
#include <csignal>
#include <fcntl.h>
#include <string>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "sphere/core/file.h"
#include "sphere/core/result.h"

using namespace std::chrono_literals;
using sphere::Errc;

TEST_CASE("run_captured gives output, error and exit code", "[core]") {
  const auto run = sphere::run_captured(
      {.program = "sh", .arguments = {"-c", "echo out; echo err >&2; exit 3"}}, 10s);
  REQUIRE(run);
  CHECK(run->output == "out\n");
  CHECK(run->error == "err\n");
  CHECK(run->status.code == 3);
  CHECK_FALSE(run->status.success());
}

TEST_CASE("run_captured reports the signal that ended the child", "[core]") {
  const auto run =
      sphere::run_captured({.program = "sh", .arguments = {"-c", "kill -TERM $$"}}, 10s);
  REQUIRE(run);
  CHECK(run->status.signal == SIGTERM);
}

TEST_CASE("run_captured kills a child that takes too long", "[core]") {
  const auto run = sphere::run_captured({.program = "sleep", .arguments = {"100"}}, 50ms);
  REQUIRE_FALSE(run);
  CHECK(run.error().code() == Errc::timeout);
}

TEST_CASE("run_captured kills a child that closes its output and stays", "[core]") {
  const auto run = sphere::run_captured(
      {.program = "sh", .arguments = {"-c", "exec >&- 2>&-; sleep 100"}}, 200ms);
  REQUIRE_FALSE(run);
  CHECK(run.error().code() == Errc::timeout);
}

TEST_CASE("more descriptors than a child can take are refused", "[core]") {
  sphere::Command command{.program = "true"};
  for (int number = 3; number < 40; ++number) {
    command.pass.emplace_back(0, number);
  }
  const auto child = sphere::ChildProcess::start(command);
  REQUIRE_FALSE(child);
  CHECK(child.error().code() == Errc::invalid_argument);
}

TEST_CASE("run_captured keeps no more than the limit", "[core]") {
  const auto run = sphere::run_captured(
      {.program = "sh", .arguments = {"-c", "head -c 100000 /dev/zero"}}, 10s, 1000);
  REQUIRE(run);
  CHECK(run->output.size() == 1000);
  CHECK(run->status.success());
}

TEST_CASE("a missing program is named", "[core]") {
  const auto run = sphere::run_captured({.program = "sphere-no-such-program"}, 1s);
  REQUIRE_FALSE(run);
  CHECK(run.error().code() == Errc::not_found);
  CHECK(run.error().hint().reason == "local.tool-missing");
  CHECK_FALSE(sphere::run_captured({.program = "/nonexistent/program"}, 1s));
}

TEST_CASE("a command sets and clears the environment", "[core]") {
  const auto run = sphere::run_captured({.program = "/usr/bin/env",
                                         .environment = {{"A", "1"}, {"B", "2"}},
                                         .clear_environment = true},
                                        10s);
  REQUIRE(run);
  CHECK(run->output == "A=1\nB=2\n");
}

TEST_CASE("a child that is bound to its parent ends with it", "[core]") {
  // The parent is a fork of ours, which starts a child, tells its process id and ends.
  std::array<int, 2> ends = {};
  REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
  const pid_t parent = ::fork();
  if (parent == 0) {
    const auto child = sphere::ChildProcess::start(
        {.program = "sleep", .arguments = {"100"}, .end_with_parent = true});
    const pid_t pid = child ? child->pid() : -1;
    [[maybe_unused]] const auto sent = ::write(ends[1], &pid, sizeof pid);
    ::_exit(0);
  }
  pid_t child = -1;
  REQUIRE(::read(ends[0], &child, sizeof child) == sizeof child);
  REQUIRE(child > 0);
  ::close(ends[0]);
  ::close(ends[1]);
  ::waitpid(parent, nullptr, 0);

  bool ended = false;
  for (int i = 0; i < 200 && !ended; ++i) {
    // It is a zombie until init, or whoever adopted it, collects it.
    const auto state = sphere::read_text_file("/proc/" + std::to_string(child) + "/stat", 4096);
    ended = !state || state->find(") Z ") != std::string::npos;
    ::usleep(10'000);
  }
  CHECK(ended);
}
