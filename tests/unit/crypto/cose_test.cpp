// SPDX-License-Identifier: MIT
#include "sphere/crypto/cose.h"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch.hpp>

#include "sphere/core/encoding.h"
#include "sphere/crypto/key.h"

namespace {

using namespace sphere::crypto;  // NOLINT(google-build-using-namespace): test
using sphere::from_hex;
using sphere::to_hex;

}  // namespace

TEST_CASE("CBOR integers have their shortest form both ways") {
  struct Case {
    std::uint64_t value;
    std::string hex;
  };
  // RFC 8949 appendix A.
  const auto test =
      GENERATE(values<Case>({{0, "00"},
                             {23, "17"},
                             {24, "1818"},
                             {255, "18ff"},
                             {256, "190100"},
                             {65535, "19ffff"},
                             {65536, "1a00010000"},
                             {4294967295U, "1affffffff"},
                             {4294967296U, "1b0000000100000000"},
                             {std::numeric_limits<std::uint64_t>::max(), "1bffffffffffffffff"}}));
  CHECK(to_hex(CborWriter{}.unsigned_integer(test.value).data()) == test.hex);
  const auto bytes = from_hex(test.hex).value();
  CborReader reader{bytes};
  CHECK(reader.unsigned_integer() == test.value);
  CHECK(reader.at_end());
}

TEST_CASE("CBOR that is not in its shortest form, cut off or of another kind is refused") {
  for (const auto* hex : {"1817", "1900ff", "1a0000ffff", "1b00000000ffffffff", "", "18", "19ff",
                          "1c", "1f", "20", "40"}) {
    INFO(hex);
    const auto bytes = from_hex(hex).value();
    CborReader reader{bytes};
    CHECK_FALSE(reader.unsigned_integer());
    CHECK_FALSE(reader.at_end());
    CHECK_FALSE(reader.map());
  }
  const auto text = from_hex("61ff").value();
  CHECK_FALSE(CborReader{text}.text());
  const auto longer = from_hex("5bffffffffffffffff00").value();
  CHECK_FALSE(CborReader{longer}.byte_string());
  const auto negative = from_hex("26").value();
  CHECK(CborReader{negative}.negative_integer() == -7);
}

TEST_CASE("a statement is read with its key, its content type and unchanged only") {
  const auto key = PrivateKey::generate().value();
  const auto payload = from_hex("a0").value();
  const auto id = from_hex("0102030405060708").value();
  auto bytes = cose_sign1("application/x", id, payload, key).value();
  CHECK(to_hex(std::span{bytes}.first(2)) == "d284");

  const auto opened = cose_open(bytes, "application/x", key.public_key());
  REQUIRE(opened);
  CHECK(to_hex(opened->payload) == "a0");
  CHECK(to_hex(opened->key_id) == to_hex(id));
  CHECK_FALSE(cose_open(bytes, "application/y", key.public_key()));
  CHECK_FALSE(cose_open(bytes, "application/x", PrivateKey::generate()->public_key()));
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    CHECK_FALSE(cose_open(std::span{bytes}.first(size), "application/x", key.public_key()));
  }
  for (auto& byte : bytes) {
    byte ^= std::byte{1};
    CHECK_FALSE(cose_open(bytes, "application/x", key.public_key()));
    byte ^= std::byte{1};
  }
  bytes.push_back(std::byte{0});
  CHECK_FALSE(cose_open(bytes, "application/x", key.public_key()));
}
