// SPDX-License-Identifier: MIT
#include "sphere/core/encoding.h"

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch.hpp>

namespace {

std::vector<std::byte> bytes(std::string_view text) {
  const auto view = std::as_bytes(std::span{text});
  return {view.begin(), view.end()};
}

}  // namespace

TEST_CASE("hexadecimal round trip", "[core]") {
  CHECK(sphere::to_hex(bytes("\x01\xAF")) == "01af");
  CHECK(sphere::from_hex("01AF") == bytes("\x01\xAF"));
  CHECK(sphere::from_hex("") == bytes(""));
  CHECK_FALSE(sphere::from_hex("0"));
  CHECK_FALSE(sphere::from_hex("0g"));
}

TEST_CASE("base64 follows the vectors of RFC 4648", "[core]") {
  struct Case {
    std::string plain, encoded;
  };
  const auto test = GENERATE(values<Case>({{"", ""},
                                           {"f", "Zg=="},
                                           {"fo", "Zm8="},
                                           {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="},
                                           {"fooba", "Zm9vYmE="},
                                           {"foobar", "Zm9vYmFy"}}));
  INFO(test.plain);
  CHECK(sphere::to_base64(bytes(test.plain)) == test.encoded);
  CHECK(sphere::from_base64(test.encoded) == bytes(test.plain));
}

TEST_CASE("from_base64 refuses what to_base64 does not write", "[core]") {
  const auto* text =
      GENERATE("Z", "Zg=", "Zg", "Zh==", "Zm9", "Zm9=", "====", "Z===", "Zm9v\n", "Zm 9");
  INFO(text);
  CHECK_FALSE(sphere::from_base64(text));
}
