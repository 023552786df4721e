// SPDX-License-Identifier: MIT
#include "sphere/crypto/secret.h"

#include <cstddef>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

using sphere::crypto::Secret;

TEST_CASE("a moved Secret leaves nothing behind", "[crypto]") {
  Secret first{std::vector<std::byte>{std::byte{'a'}, std::byte{'b'}}};
  Secret second{std::move(first)};
  CHECK(first.bytes().empty());  // NOLINT(bugprone-use-after-move): that is the point.
  CHECK(second.text() == "ab");

  Secret third;
  third = std::move(second);
  CHECK(second.bytes().empty());  // NOLINT(bugprone-use-after-move): that is the point.
  CHECK(third.text() == "ab");
}
