// SPDX-License-Identifier: MIT
#include "sphere/crypto/digest.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <string_view>
#include <utility>

#include <catch2/catch.hpp>

#include "sphere/core/encoding.h"

using sphere::to_hex;
using sphere::crypto::md5;
using sphere::crypto::sha1;
using sphere::crypto::sha256;

namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span{text});
}

}  // namespace

TEST_CASE("md5 gives the values of RFC 1321", "[crypto]") {
  CHECK(to_hex(md5({})) == "d41d8cd98f00b204e9800998ecf8427e");
  CHECK(to_hex(md5(bytes_of("message digest"))) == "f96b697d7cb7938d525a2f31aaf161d0");
}

TEST_CASE("sha256 and sha1 give the values of FIPS 180-4", "[crypto]") {
  CHECK(to_hex(sha256(bytes_of("abc"))) ==
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(to_hex(sha256({})) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(to_hex(sha1(bytes_of("abc"))) == "a9993e364706816aba3e25717850c26c9cd0d89d");
}

TEST_CASE("Sha256 over pieces equals sha256 of the whole", "[crypto]") {
  sphere::crypto::Sha256 pieces;
  pieces.update(bytes_of("a")).update({});
  auto moved = std::move(pieces);
  moved.update(bytes_of("bc"));

  CHECK(moved.finish() == sha256(bytes_of("abc")));
}

TEST_CASE("random_bytes fills everything, differently each time", "[crypto]") {
  std::array<std::byte, 64> first = {};
  std::array<std::byte, 64> second = {};
  sphere::crypto::random_bytes(first);
  sphere::crypto::random_bytes(second);

  CHECK(first != second);
  const std::array<std::byte, 16> zeros = {};
  CHECK_FALSE(std::ranges::equal(std::span{first}.last<16>(), zeros));
}
