// SPDX-License-Identifier: MIT
#include "sphere/core/process.h"

#include <chrono>
#include <csignal>
#include <string>

#include <catch2/catch.hpp>

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
