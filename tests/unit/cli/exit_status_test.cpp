// SPDX-License-Identifier: MIT
#include "cli/exit_status.h"

#include <catch2/catch.hpp>

#include "sphere/core/result.h"

TEST_CASE("only usage errors give 2", "[cli]") {
  using sphere::Errc;
  using sphere::Error;
  CHECK(sphere::cli::exit_status(Error{Errc::io, "x"}) == 1);
  CHECK(sphere::cli::exit_status(Error{Errc::invalid_argument, "x"}) == 2);
  CHECK(sphere::cli::exit_status(
            Error{Errc::invalid_argument, "x", {.reason = "link.ambiguous"}}) == 1);
  CHECK(sphere::cli::exit_status(Error{Errc::not_found, "x", {.reason = "usage.bad-value"}}) == 2);
  CHECK(sphere::cli::reason_of(Error{Errc::no_space, "x"}) == "local.no-space");
}
