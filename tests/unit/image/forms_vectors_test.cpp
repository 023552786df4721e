// SPDX-License-Identifier: MIT
// Packages of the smaller forms that other tools made; what is expected of them is public.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch.hpp>

#include "sphere/core/clock.h"
#include "sphere/core/encoding.h"
#include "sphere/core/guid.h"
#include "sphere/crypto/digest.h"
#include "sphere/crypto/key.h"
#include "sphere/image/board_config.h"
#include "sphere/image/capability.h"
#include "sphere/image/metadata.h"
#include "sphere/image/pack.h"
#include "sphere/image/package.h"
#include "sphere/image/production.h"
#include "sphere/image/trust.h"
#include "tests/support/skip.h"
#include "tests/unit/image/golden.h"
#include "tests/unit/image/vectors.h"

namespace image = sphere::image;
using sphere::Guid;
using sphere::to_hex;
using sphere::test::Bytes;
using sphere::test::find_outside_vector;

namespace {

constexpr std::string_view kBoardConfiguration =
    "6f96329156fc6151aa0a6ace3e99bfb5145750d0d5d620ebe585be25cb172528";
constexpr std::string_view kPairDevelopment =
    "a34077937cc7e873e4b4ec03680c45f38f4ba13e69d4460fe35c701a9ce42261";
constexpr std::string_view kPairProduction =
    "028888c63d6f067322efaef688bcb7e60b6ada23c04ee8502088f49c17eb126e";
constexpr std::string_view kCapability =
    "982172c61834da4c909670edca48b7021c3098be8a78cce1b7976d8636fb88f4";

// Recovered from the signatures of public packages; known to tests only.
image::TrustStore original_production_trust() {
  const auto point = sphere::from_hex(
      "3c89e4af8ed630c05c40dc648b0f8241523d3b29c51fa70f136514f8ce10ba4c"
      "d51885cdb176a3c3031cacbf77b16736826c1d604a3c10dd99e1b560d1473677");
  const auto key = sphere::crypto::PublicKey::from_point(std::span{*point}.first<64>());
  REQUIRE(key);
  image::TrustStore trust;
  trust.add({.key = *key, .thumbprints = {}, .role = image::Role::production, .label = "original"});
  return trust;
}

}  // namespace

TEST_CASE("the production package of the original service decodes and verifies", "[image]") {
  const auto vector = find_outside_vector(kPairProduction);
  const auto development = find_outside_vector(kPairDevelopment);
  SKIP_UNLESS(vector && development, "no vector hl-pair");
  const auto outer = image::parse_package(*vector);
  REQUIRE(outer);
  CHECK(outer->kind == image::PackageKind::production);
  CHECK(outer->tail->size() == 152 + 64);
  CHECK(sphere::to_rfc3339(static_cast<std::int64_t>(outer->metadata.debug.build_time)) ==
        "2022-06-24T15:03:36Z");

  const auto verified = image::verify(*outer, original_production_trust());

  REQUIRE(verified);
  const auto& inner = *(*verified)->inner;
  CHECK(inner.tail->size() == 140 + 64);
  CHECK_FALSE(inner.metadata.temporary);
  CHECK(inner.files.crc == 0xD38C4B13);
  const auto decoded = inner.source->in_memory();
  REQUIRE(decoded.size() == 45'260);
  CHECK(to_hex(sphere::crypto::sha256(decoded)) ==
        "345bf9f164d4ac09973a422e30a45f81330e42a96edaae06c60224f9cbf9bbbf");
  CHECK(to_hex(sphere::crypto::sha256(decoded.first(decoded.size() - 64))) ==
        "81383c22a4d45b8e7af54e4e133794a371ef83f6a353178a5b8146787ef1e809");
  const auto body = decoded.first(inner.metadata.body_size);
  REQUIRE(body.size() == 0xB000);
  CHECK(to_hex(sphere::crypto::sha256(body)) ==
        "0fe4e30c4e8ea64b465c47112691662e30fd327e34d6d7e993ca1fcaa8576a09");
  CHECK(std::ranges::equal(body, std::span{*development}.first(body.size())));
  CHECK_FALSE(image::verify(*outer, sphere::test::golden_trust()));
}

TEST_CASE("an application of the original tools gets a production package like their own",
          "[image]") {
  const auto vector = find_outside_vector(kPairProduction);
  const auto development = find_outside_vector(kPairDevelopment);
  SKIP_UNLESS(vector && development, "no vector hl-pair");
  image::TrustStore trust;
  trust.add({.key = image::public_test_key(), .thumbprints = {}, .label = "test"});
  auto package = image::parse_package(*development);
  REQUIRE(package);
  const auto upload = image::verify(*std::move(package), trust);
  REQUIRE(upload);
  const auto original = image::parse_package(*vector);
  REQUIRE(original);

  const auto bytes = image::sign_for_production(*upload, original->metadata.debug.build_time,
                                                sphere::test::GoldenSigner{});

  REQUIRE(bytes);
  const auto own = image::parse_package(*bytes);
  REQUIRE(own);
  // Both blocks are the original's but for the thumbprint; another encoder makes another area.
  const auto thumbprint_at = 8 + 40 + 4;
  const auto compare = [&](const image::Package& a, const image::Package& b) {
    const auto expected = sphere::test::patched(*a.tail, thumbprint_at,
                                                std::span{b.metadata.signature_info.thumbprint});
    REQUIRE(expected.size() == b.tail->size());
    CHECK(std::equal(expected.begin(), expected.end() - 64, b.tail->begin()));
  };
  compare(*original, *own);
  const auto original_inner = image::open_inner(*original);
  const auto own_inner = image::open_inner(*own);
  REQUIRE(original_inner);
  REQUIRE(own_inner);
  compare(original_inner->package, own_inner->package);
  const auto difference = static_cast<std::int64_t>(own->metadata.body_size) -
                          static_cast<std::int64_t>(original->metadata.body_size);
  CHECK(std::abs(difference) < 64);
}

TEST_CASE("the board configuration of the original tools is rebuilt byte for byte", "[image]") {
  const auto vector = find_outside_vector(kBoardConfiguration);
  SKIP_UNLESS(vector, "no vector board-config");
  const auto metadata = sphere::image::read_metadata(*vector);
  REQUIRE(metadata);
  REQUIRE(metadata->body_size == 240);
  const auto read =
      sphere::image::read_board_configuration(std::span{*vector}.first(metadata->body_size));
  image::TrustStore trust;
  trust.add({.key = image::public_test_key(),
             .thumbprints = {},
             .role = image::Role::board_configuration});
  const auto package = image::parse_package(*vector);
  REQUIRE(package);
  CHECK(image::verify(*package, trust));
  image::TrustStore wrong_role;
  wrong_role.add({.key = image::public_test_key(), .thumbprints = {}});
  CHECK_FALSE(image::verify(*package, wrong_role));
  REQUIRE(read);
  CHECK(read->preset == "lan-enc28j60-isu0-int5");

  auto packed = sphere::image::pack_board_configuration(
      {.preset = read->preset,
       .image_id = Guid::parse("39a3a45a-f17f-48ef-babb-5b977f5e75f3"),
       .build_time = metadata->debug.build_time},
      sphere::test::GoldenSigner{});

  REQUIRE(packed);
  const auto thumbprint_at = metadata->body_size + 8 + 40 + 4;
  packed->bytes = sphere::test::patched(std::move(packed->bytes), thumbprint_at,
                                        std::span{sphere::image::public_test_thumbprint()});
  REQUIRE(packed->bytes.size() == vector->size());
  CHECK(std::equal(vector->begin(), vector->end() - 64, packed->bytes.begin()));
}

TEST_CASE("the capability of the original service is read and rebuilt byte for byte", "[image]") {
  const auto vector = find_outside_vector(kCapability);
  SKIP_UNLESS(vector, "no vector device-capability");
  const auto metadata = sphere::image::read_metadata(*vector);
  REQUIRE(metadata);
  REQUIRE(metadata->body_size == sphere::image::kCapabilitySize);
  const auto read = sphere::image::read_capability(std::span{*vector}.first(metadata->body_size));
  REQUIRE(read);
  CHECK(read->numbers == std::vector<std::uint32_t>{11});
  CHECK_FALSE(read->terms);
  const auto device = to_hex(read->device_id);
  CHECK(device.starts_with("7bee580b2eb6391d"));
  CHECK(device.ends_with("348cbcdaa2"));

  auto packed = sphere::image::pack_capability({.capability = *read,
                                                .component_id = metadata->identity.component_id,
                                                .image_id = metadata->identity.image_id,
                                                .build_time = metadata->debug.build_time},
                                               sphere::test::GoldenSigner{});

  REQUIRE(packed);
  const auto thumbprint_at = metadata->body_size + 8 + 40 + 4;
  packed->bytes = sphere::test::patched(std::move(packed->bytes), thumbprint_at,
                                        std::span{metadata->signature_info.thumbprint});
  REQUIRE(packed->bytes.size() == vector->size());
  CHECK(std::equal(vector->begin(), vector->end() - 64, packed->bytes.begin()));
}
