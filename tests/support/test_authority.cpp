// SPDX-License-Identifier: MIT
#include "tests/support/test_authority.h"

#include <cstdint>
#include <string>

#include <catch2/catch.hpp>

#include "sphere/crypto/certificate.h"
#include "sphere/crypto/key.h"

namespace sphere::test {

namespace {

constexpr std::int64_t kBegin = 1577836800;    // 2020-01-01T00:00:00Z
constexpr std::int64_t kExpired = 1609459200;  // 2021-01-01T00:00:00Z
constexpr std::int64_t kEnd = 2524607999;      // 2049-12-31T23:59:59Z

}  // namespace

TestAuthority make_test_authority(bool expired) {
  const auto ca_key = crypto::PrivateKey::generate();
  const auto key = crypto::PrivateKey::generate();
  REQUIRE(ca_key);
  REQUIRE(key);
  const auto ca = crypto::make_certificate(
      {.common_name = "Test CA", .not_before = kBegin, .not_after = kEnd, .is_ca = true},
      ca_key->public_key(), *ca_key);
  REQUIRE(ca);
  const auto leaf =
      crypto::make_certificate({.common_name = "Test board",
                                .not_before = kBegin,
                                .not_after = expired ? kExpired : kEnd,
                                .server_auth = true,
                                .dns_names = {"*.devices.sphere.azure.local", "board.test"},
                                .ip_addresses = {"127.0.0.1"}},
                               key->public_key(), *ca_key, &*ca);
  REQUIRE(leaf);
  return {.ca_pem = ca->pem(),
          .chain_pem = leaf->pem() + ca->pem(),
          .key_pem = std::string{key->to_pem().text()}};
}

}  // namespace sphere::test
