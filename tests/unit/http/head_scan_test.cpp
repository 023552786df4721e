// SPDX-License-Identifier: MIT
#include "libsdk/src/http/head_scan.h"

#include <cstddef>
#include <string>
#include <string_view>

#include <catch2/catch.hpp>

using sphere::http::HeadState;
using sphere::http::scan_head;

namespace {

constexpr std::string_view kHead = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n";

}  // namespace

TEST_CASE("scan_head finds the end and leaves what follows", "[http]") {
  const auto scan = scan_head(std::string{kHead} + "body\n\n", {});
  CHECK(scan.state == HeadState::complete);
  CHECK(scan.length == kHead.size());
}

TEST_CASE("scan_head waits for more of a head cut anywhere", "[http]") {
  for (std::size_t length = 0; length < kHead.size(); ++length) {
    INFO(length);
    CHECK(scan_head(kHead.substr(0, length), {}).state == HeadState::incomplete);
  }
}

TEST_CASE("scan_head counts bytes, lines and the target", "[http]") {
  CHECK(scan_head(kHead, {.bytes = kHead.size()}).state == HeadState::complete);
  CHECK(scan_head(kHead, {.bytes = kHead.size() - 1}).state == HeadState::too_large);
  CHECK(scan_head(kHead, {.lines = 1}).state == HeadState::complete);
  CHECK(scan_head(kHead, {.lines = 0}).state == HeadState::too_large);
  CHECK(scan_head(kHead, {.target_bytes = 2}).state == HeadState::complete);
  CHECK(scan_head(kHead, {.target_bytes = 1}).state == HeadState::too_large);
}
