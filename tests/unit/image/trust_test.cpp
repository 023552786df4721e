// SPDX-License-Identifier: MIT
#include "sphere/image/trust.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "sphere/core/encoding.h"
#include "sphere/core/result.h"
#include "sphere/crypto/key.h"
#include "sphere/image/package.h"
#include "tests/unit/image/golden.h"

using sphere::Errc;
using sphere::image::is_published_key;
using sphere::image::Package;
using sphere::image::parse_package;
using sphere::image::Role;
using sphere::image::TrustEntry;
using sphere::image::TrustStore;
using sphere::image::Verified;
using sphere::image::verify;

// Only verify() makes a Verified value.
static_assert(!std::is_default_constructible_v<Verified<Package>>);
static_assert(!std::is_constructible_v<Verified<Package>, Package>);
static_assert(!std::is_constructible_v<Verified<Package>, Package, TrustEntry>);
static_assert(!std::is_aggregate_v<Verified<Package>>);
static_assert(!std::is_convertible_v<Package, Verified<Package>>);

namespace {

sphere::crypto::PublicKey new_public_key() {
  const auto key = sphere::crypto::PrivateKey::generate();
  REQUIRE(key);
  return key->public_key();
}

}  // namespace

TEST_CASE("a package signed by a trusted key verifies and names its signer", "[image]") {
  const auto bytes = sphere::test::golden_package();
  const auto package = parse_package(bytes);
  REQUIRE(package);

  const auto verified = verify(*package, sphere::test::golden_trust());

  REQUIRE(verified);
  CHECK(verified->signer().label == "golden");
  CHECK((*verified)->metadata.debug.name == "golden");
}

TEST_CASE("the thumbprint is a hint: an unknown one still finds the key", "[image]") {
  const auto bytes = sphere::test::golden_package();
  const auto package = parse_package(bytes);
  REQUIRE(package);
  auto trust = TrustStore::for_test_vectors();
  trust.add({.key = sphere::test::GoldenSigner{}.public_key(), .thumbprints = {}});
  CHECK(verify(*package, trust));
}

TEST_CASE("two keys under one thumbprint are both tried", "[image]") {
  const auto bytes = sphere::test::golden_package();
  const auto package = parse_package(bytes);
  REQUIRE(package);
  const sphere::test::GoldenSigner signer;
  auto trust = TrustStore::for_test_vectors();
  trust.add({.key = new_public_key(), .thumbprints = {signer.thumbprint()}, .label = "other"});
  trust.add({.key = signer.public_key(), .thumbprints = {signer.thumbprint()}, .label = "right"});

  const auto verified = verify(*package, trust);

  REQUIRE(verified);
  CHECK(verified->signer().label == "right");
}

TEST_CASE("a thumbprint without its key is no evidence", "[image]") {
  const auto bytes = sphere::test::golden_package();
  const auto package = parse_package(bytes);
  REQUIRE(package);
  TrustStore trust;
  trust.add({.key = new_public_key(), .thumbprints = {sphere::test::GoldenSigner{}.thumbprint()}});

  const auto verified = verify(*package, trust);

  REQUIRE_FALSE(verified);
  CHECK(verified.error().code() == Errc::unverified);
  CHECK(verified.error().hint().reason == "package.untrusted");
  CHECK_THAT(verified.error().message(), Catch::Contains("damaged"));
}

TEST_CASE("an unknown key and an empty store do not verify", "[image]") {
  const auto bytes = sphere::test::golden_package();
  const auto package = parse_package(bytes);
  REQUIRE(package);
  TrustStore trust;
  CHECK_THAT(verify(*package, trust).error().message(), Catch::Contains("no trusted key"));
  trust.add({.key = new_public_key(), .thumbprints = {sphere::crypto::Sha1Digest{}}});
  CHECK_THAT(verify(*package, trust).error().message(), Catch::Contains("no trusted key"));
}

TEST_CASE("a signature of r or s 0, n or n + 1 does not verify", "[image]") {
  const auto number = GENERATE(values<std::string>(
      {std::string(64, '0'), "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
       "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632552"}));
  const auto half = GENERATE(std::size_t{64}, std::size_t{32});
  auto bytes = sphere::test::golden_package();
  const auto value = *sphere::from_hex(number);
  bytes = sphere::test::patched(std::move(bytes), bytes.size() - half, std::span{value});
  const auto package = parse_package(bytes);
  REQUIRE(package);

  const auto verified = verify(*package, sphere::test::golden_trust());

  REQUIRE_FALSE(verified);
  CHECK(verified.error().code() == Errc::unverified);
}

TEST_CASE("the public test key has the published id and is in no store by itself", "[image]") {
  CHECK(sphere::to_hex(sphere::image::public_test_key().id()) ==
        "f49b7d9e7ece21a11bba8a7b68f66bab5ee68aff79f763fa86148d9f7b56686f");
  CHECK(sphere::to_hex(sphere::image::public_test_thumbprint()) ==
        "a8d5cc6958f48710140d7a26160fc1cfc31f5df0");
  CHECK(TrustStore{}.entries().empty());
}

TEST_CASE("a key signs only what its role is for", "[image]") {
  using sphere::image::may_sign;
  using sphere::image::Role;
  struct Case {
    std::uint16_t type;
    std::vector<Role> roles;
  };
  const auto test = GENERATE(values<Case>({{10, {Role::production, Role::development}},
                                           {13, {Role::capability}},
                                           {21, {Role::board_configuration}},
                                           {19, {Role::trust_store}},
                                           {8, {Role::os}},
                                           {99, {Role::os}}}));
  for (const auto role : {Role::production, Role::development, Role::capability,
                          Role::board_configuration, Role::os, Role::trust_store}) {
    CHECK(may_sign(role, test.type) == (std::ranges::find(test.roles, role) != test.roles.end()));
  }
}

TEST_CASE("a good signature by a key for another use is refused and says so", "[image]") {
  const auto bytes = sphere::test::golden_package();
  const auto package = parse_package(bytes);
  REQUIRE(package);
  const auto signer = sphere::test::GoldenSigner{};
  const auto role =
      GENERATE(sphere::image::Role::capability, sphere::image::Role::os,
               sphere::image::Role::board_configuration, sphere::image::Role::trust_store);
  auto trust = TrustStore::for_test_vectors();
  trust.add({.key = signer.public_key(),
             .thumbprints = {signer.thumbprint()},
             .role = role,
             .label = "golden"});

  const auto refused = verify(*package, trust);

  REQUIRE_FALSE(refused);
  CHECK(refused.error().code() == Errc::unverified);
  CHECK(refused.error().hint().reason == "package.untrusted");
  CHECK_THAT(refused.error().message(),
             Catch::Contains("for another use: golden: " + std::string{role_name(role)} +
                             " keys do not sign: application"));

  // The same key with a fitting role beside it is enough.
  trust.add(
      {.key = signer.public_key(), .thumbprints = {}, .role = sphere::image::Role::production});
  const auto verified = verify(*package, trust);
  REQUIRE(verified);
  CHECK(verified->signer().role == sphere::image::Role::production);
}

TEST_CASE("a store leaves the published key out", "[image]") {
  const auto bytes = sphere::test::golden_package();
  const auto package = parse_package(bytes);
  REQUIRE(package);
  const sphere::test::GoldenSigner signer;
  CHECK(is_published_key(signer.public_key()));
  CHECK_FALSE(is_published_key(sphere::image::public_test_key()));

  TrustStore trust;
  for (const auto role : {Role::production, Role::development, Role::trust_store}) {
    trust.add({.key = signer.public_key(), .thumbprints = {signer.thumbprint()}, .role = role});
  }

  CHECK(trust.entries().empty());
  const auto verified = verify(*package, trust);
  REQUIRE_FALSE(verified);
  CHECK(verified.error().hint().reason == "package.untrusted");
}
