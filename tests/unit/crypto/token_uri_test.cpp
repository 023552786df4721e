// SPDX-License-Identifier: MIT
#include <cstddef>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "sphere/crypto/pkcs11.h"

using sphere::crypto::parse_token_uri;

TEST_CASE("a PKCS#11 URI gives its attributes with escapes resolved", "[crypto]") {
  const auto uri = parse_token_uri(
      "pkcs11:token=Line%202;serial=c1;manufacturer=M;model=N;object=a%3Bb;id=%01%ff;slot-id=7;"
      "type=private"
      "?module-path=/usr/lib/m.so&pin-source=file:/run/pin");
  REQUIRE(uri);
  CHECK(uri->token == "Line 2");
  CHECK(uri->serial == "c1");
  CHECK(uri->manufacturer == "M");
  CHECK(uri->model == "N");
  CHECK(uri->object == "a;b");
  CHECK(uri->id == std::vector{std::byte{0x01}, std::byte{0xFF}});
  CHECK(uri->slot == 7);
  CHECK(uri->module_path == "/usr/lib/m.so");
  CHECK(uri->pin_source == "file:/run/pin");
}

TEST_CASE("a PKCS#11 URI that says something else than is known is refused", "[crypto]") {
  for (const auto* text :
       {"", "pkcs11", "token=a", "pkcs11:token", "pkcs11:token=", "pkcs11:token=%2",
        "pkcs11:token=%zz", "pkcs11:token=a;token=b", "pkcs11:colour=red", "pkcs11:type=public",
        "pkcs11:slot-id=x", "pkcs11:slot-id=99999999999999999999", "pkcs11:token=a?pin-value=1",
        "pkcs11:token=a?x=1"}) {
    INFO(text);
    const auto uri = parse_token_uri(text);
    REQUIRE_FALSE(uri);
    CHECK(uri.error().hint().reason == "usage.bad-value");
  }
  CHECK_FALSE(parse_token_uri("pkcs11:token=" + std::string(5000, 'a')));
}
