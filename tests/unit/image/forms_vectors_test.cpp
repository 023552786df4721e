// SPDX-License-Identifier: MIT
// Packages of the smaller forms that other tools made; what is expected of them is public.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch.hpp>

#include "sphere/core/encoding.h"
#include "sphere/core/guid.h"
#include "sphere/image/board_config.h"
#include "sphere/image/capability.h"
#include "sphere/image/metadata.h"
#include "sphere/image/pack.h"
#include "sphere/image/trust.h"
#include "tests/support/skip.h"
#include "tests/unit/image/golden.h"
#include "tests/unit/image/vectors.h"

using sphere::Guid;
using sphere::to_hex;
using sphere::test::Bytes;
using sphere::test::find_outside_vector;

namespace {

constexpr std::string_view kBoardConfiguration =
    "6f96329156fc6151aa0a6ace3e99bfb5145750d0d5d620ebe585be25cb172528";
constexpr std::string_view kCapability =
    "982172c61834da4c909670edca48b7021c3098be8a78cce1b7976d8636fb88f4";

}  // namespace

TEST_CASE("the board configuration of the original tools is rebuilt byte for byte", "[image]") {
  const auto vector = find_outside_vector(kBoardConfiguration);
  SKIP_UNLESS(vector, "no vector board-config");
  const auto metadata = sphere::image::read_metadata(*vector);
  REQUIRE(metadata);
  REQUIRE(metadata->body_size == 240);
  const auto read =
      sphere::image::read_board_configuration(std::span{*vector}.first(metadata->body_size));
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
