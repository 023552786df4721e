// SPDX-License-Identifier: MIT
#include "sphere/core/guid.h"

#include <catch2/catch.hpp>

#include "sphere/core/encoding.h"

using sphere::Guid;

TEST_CASE("Guid stores the first three groups little-endian", "[core]") {
  // The component id of hl-blink and its bytes in section ID.
  const auto guid = Guid::parse("2f074b0f-d99d-4692-82d9-ef93a7d6463c");
  REQUIRE(guid);
  CHECK(sphere::to_hex(guid->stored()) == "0f4b072f9dd9924682d9ef93a7d6463c");
  CHECK(sphere::to_hex(guid->rfc4122()) == "2f074b0fd99d469282d9ef93a7d6463c");
  CHECK(Guid::from_stored(guid->stored()) == *guid);
  CHECK(guid->text() == "2f074b0f-d99d-4692-82d9-ef93a7d6463c");
  CHECK(Guid::parse("2F074B0F-D99D-4692-82D9-EF93A7D6463C") == guid);
}

TEST_CASE("Guid::parse refuses other forms", "[core]") {
  const auto* text =
      GENERATE("", "2f074b0fd99d469282d9ef93a7d6463c", "{2f074b0f-d99d-4692-82d9-ef93a7d6463c}",
               "2f074b0f-d99d-4692-82d9-ef93a7d6463", "2f074b0f-d99d-4692-82d9ef-93a7d6463c",
               "2f074b0g-d99d-4692-82d9-ef93a7d6463c");
  INFO(text);
  CHECK_FALSE(Guid::parse(text));
}

TEST_CASE("Guid::random is version 4 and differs each time", "[core]") {
  const auto guid = Guid::random();
  CHECK(guid.text()[14] == '4');
  CHECK(guid != Guid::random());
  CHECK_FALSE(guid.is_zero());
  CHECK(Guid{}.is_zero());
}
