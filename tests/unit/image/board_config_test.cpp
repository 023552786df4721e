// SPDX-License-Identifier: MIT
#include "sphere/image/board_config.h"

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "libsdk/src/image/device_tree.h"
#include "sphere/core/guid.h"
#include "sphere/core/result.h"
#include "sphere/crypto/digest.h"
#include "sphere/image/metadata.h"
#include "tests/unit/image/golden.h"

using sphere::Errc;
using sphere::image::DeviceTreeNode;
using sphere::image::pack_board_configuration;
using sphere::image::read_board_configuration;
using sphere::test::Bytes;
using sphere::test::to_bytes;

namespace {

// A tree with the three properties, of which one is replaced, or left out by a null value.
Bytes body_with(std::string_view name, const Bytes* value) {
  DeviceTreeNode node{.name = "azconfig"};
  const std::vector<std::pair<std::string, Bytes>> all = {
      {"version", to_bytes(std::string_view{"\0\0\0\1", 4})},
      {"preset", to_bytes(std::string_view{"p\0", 2})},
      {"desc", to_bytes(std::string_view{"d\0", 2})}};
  for (const auto& [key, text] : all) {
    if (key != name) {
      node.properties.push_back({.name = key, .value = text});
    } else if (value != nullptr) {
      node.properties.push_back({.name = key, .value = *value});
    }
  }
  DeviceTreeNode root;
  root.children.push_back(std::move(node));
  return sphere::image::write_device_tree(root);
}

void check_refused(const Bytes& body, Errc code) {
  const auto result = read_board_configuration(body);
  REQUIRE_FALSE(result);
  CHECK(result.error().code() == code);
}

}  // namespace

TEST_CASE("a board configuration is written and read", "[image]") {
  const auto body =
      sphere::image::write_board_configuration({.preset = "preset-1", .description = "Größe 1"});

  const auto read = read_board_configuration(body);

  REQUIRE(read);
  CHECK(read->preset == "preset-1");
  CHECK(read->description == "Größe 1");
}

TEST_CASE("a board configuration needs its three properties in their form", "[image]") {
  REQUIRE(read_board_configuration(body_with("", nullptr)));
  const auto with = [](std::string_view name, std::string_view value) {
    const auto bytes = to_bytes(value);
    return body_with(name, &bytes);
  };

  SECTION("one is missing") {
    for (const auto* name : {"version", "preset", "desc"}) {
      INFO(name);
      check_refused(body_with(name, nullptr), Errc::corrupt);
    }
  }
  SECTION("another version, and one that is no number") {
    check_refused(with("version", std::string_view{"\0\0\0\2", 4}), Errc::unsupported);
    check_refused(with("version", "1"), Errc::corrupt);
  }
  SECTION("texts without NUL, with two, that are no text, a preset without a name") {
    check_refused(with("preset", ""), Errc::corrupt);
    check_refused(with("preset", "p"), Errc::corrupt);
    check_refused(with("preset", std::string_view{"p\0q\0", 4}), Errc::corrupt);
    check_refused(with("preset", std::string_view{"\0", 1}), Errc::corrupt);
    check_refused(with("desc", std::string_view{"\xFF\0", 2}), Errc::corrupt);
    check_refused(with("desc", std::string_view{"\x1B[2J\0", 5}), Errc::corrupt);
    CHECK(read_board_configuration(with("desc", std::string_view{"\0", 1})));
  }
  SECTION("no node, no tree") {
    check_refused(sphere::image::write_device_tree({}), Errc::corrupt);
    check_refused(Bytes(240), Errc::corrupt);
  }
}

TEST_CASE("every preset makes a package that reads as that preset", "[image]") {
  REQUIRE_FALSE(sphere::image::board_presets().empty());
  for (const auto& preset : sphere::image::board_presets()) {
    INFO(preset.name);
    const auto packed = pack_board_configuration(
        {.preset = std::string{preset.name}, .build_time = 1'735'689'600, .reproducible = true},
        sphere::test::GoldenSigner{});

    REQUIRE(packed);
    const auto metadata = sphere::image::read_metadata(packed->bytes);
    REQUIRE(metadata);
    CHECK(metadata->sections.size() == 4);
    CHECK(metadata->identity.image_type == sphere::image::kBoardConfiguration);
    CHECK(metadata->identity.component_id == sphere::Guid::parse(preset.component_id));
    CHECK_FALSE(metadata->identity.component_id.is_zero());
    CHECK(metadata->temporary == 2);
    const auto body = std::span{packed->bytes}.first(metadata->body_size);
    CHECK(metadata->identity.image_id ==
          sphere::image::derived_image_id(metadata->identity.component_id, 1'735'689'600, body));
    const auto read = read_board_configuration(body);
    REQUIRE(read);
    CHECK(read->preset == preset.name);
    CHECK(read->description == preset.description);
    const std::span bytes{packed->bytes};
    CHECK(sphere::test::GoldenSigner{}.public_key().verify(
        sphere::crypto::sha256(bytes.first(bytes.size() - 64)), metadata->signature.first<64>()));
  }
}

TEST_CASE("an unknown preset is refused with the known ones", "[image]") {
  const auto packed = pack_board_configuration({.preset = "lan"}, sphere::test::GoldenSigner{});

  REQUIRE_FALSE(packed);
  CHECK(packed.error().code() == Errc::invalid_argument);
  CHECK(packed.error().hint().reason == "usage.bad-value");
  CHECK(packed.error().hint().next.find("lan-enc28j60-isu0-int5") != std::string::npos);
}
