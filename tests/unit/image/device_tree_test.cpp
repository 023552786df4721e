// SPDX-License-Identifier: MIT
#include "libsdk/src/image/device_tree.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "sphere/core/encoding.h"
#include "sphere/core/result.h"
#include "tests/unit/image/golden.h"

using sphere::Errc;
using sphere::image::DeviceTreeNode;
using sphere::image::read_device_tree;
using sphere::image::write_device_tree;
using sphere::test::Bytes;
using sphere::test::patched;
using sphere::test::to_bytes;

namespace {

// Places in the bytes of sample().
constexpr std::size_t kStructure = 56;
constexpr std::size_t kRootProperty = kStructure + 8;
constexpr std::size_t kChild = kRootProperty + 12 + 4;

DeviceTreeNode sample() {
  DeviceTreeNode root;
  root.properties.push_back({.name = "model", .value = to_bytes("abc")});
  DeviceTreeNode child{.name = "child"};
  child.properties.push_back({.name = "empty"});
  child.properties.push_back({.name = "model", .value = to_bytes("longer")});
  child.children.push_back({.name = "leaf@100"});
  root.children.push_back(std::move(child));
  return root;
}

DeviceTreeNode chain(std::size_t depth) {
  DeviceTreeNode node;
  for (std::size_t i = 1; i < depth; ++i) {
    node.name = "n";
    DeviceTreeNode parent;
    parent.children.push_back(std::move(node));
    node = std::move(parent);
  }
  return node;
}

void check_refused(const Bytes& bytes, Errc code) {
  const auto result = read_device_tree(bytes);
  REQUIRE_FALSE(result);
  CHECK(result.error().code() == code);
  CHECK_FALSE(result.error().hint().reason.empty());
}
void check_corrupt(const Bytes& bytes) { check_refused(bytes, Errc::corrupt); }

// A version 17 tree around the words of a structure, with the strings "a" and "b".
Bytes tree_of(const std::vector<std::uint32_t>& words) {
  std::string hex = "d00dfeed";
  const auto size = 4 * words.size();
  for (const std::size_t field :
       {56 + size + 4, std::size_t{56}, 56 + size, std::size_t{40}, std::size_t{17},
        std::size_t{16}, std::size_t{0}, std::size_t{4}, size}) {
    hex += fmt::format("{:08x}", field);
  }
  hex += std::string(32, '0');
  for (const auto word : words) {
    hex += fmt::format("{:08x}", word);
  }
  return *sphere::from_hex(hex + "61006200");
}

}  // namespace

TEST_CASE("a device tree is written with shared names and read again", "[image]") {
  const auto bytes = write_device_tree(sample());

  const auto hex = sphere::to_hex(bytes);
  CHECK(hex.substr(0, 8) == "d00dfeed");
  CHECK(hex.substr(hex.size() - 24) ==
        sphere::to_hex(to_bytes(std::string_view{"model\0empty\0", 12})));
  const auto root = read_device_tree(bytes);
  REQUIRE(root);
  REQUIRE(root->property("model") != nullptr);
  CHECK(root->property("model")->value == to_bytes("abc"));
  CHECK(root->property("empty") == nullptr);
  const auto* child = root->child("child");
  REQUIRE(child != nullptr);
  CHECK(child->property("empty")->value.empty());
  CHECK(child->property("model")->value == to_bytes("longer"));
  CHECK(child->child("leaf@100") != nullptr);
  CHECK(child->child("leaf") == nullptr);
  CHECK(write_device_tree(*root) == bytes);
}

TEST_CASE("device trees of version 16 and with reservations are read", "[image]") {
  const auto bytes = write_device_tree(sample());

  SECTION("version 16, whose header says nothing about the size of the structure") {
    const auto old =
        patched(patched(bytes, 23, "\x10"), 36, std::string_view{"\xFF\xFF\xFF\xFF", 4});
    CHECK(read_device_tree(old));
  }
  SECTION("tokens that mean nothing") {
    const auto root = read_device_tree(tree_of({4, 1, 0, 4, 3, 0, 0, 4, 2, 4, 9}));
    REQUIRE(root);
    CHECK(root->property("a") != nullptr);
  }
  SECTION("the tail of a string as a name") {
    const auto root = read_device_tree(tree_of({1, 0, 3, 1, 2, 0x61000000, 2, 9}));
    REQUIRE(root);
    CHECK(root->property("b")->value == to_bytes("a"));
  }
}

TEST_CASE("a device tree is at most 8 nodes deep and 64 KiB large", "[image]") {
  CHECK(read_device_tree(write_device_tree(chain(8))));
  check_refused(write_device_tree(chain(9)), Errc::too_large);
  DeviceTreeNode large;
  large.properties.push_back({.name = "p", .value = Bytes(65'536)});
  check_refused(write_device_tree(large), Errc::too_large);
}

TEST_CASE("a damaged device tree is refused", "[image]") {
  const auto bytes = write_device_tree(sample());
  REQUIRE(read_device_tree(bytes));

  SECTION("magic") { check_corrupt(patched(bytes, 0, "\xD1")); }
  SECTION("total size") {
    auto longer = bytes;
    longer.push_back(std::byte{0});
    check_corrupt(longer);
    check_corrupt(patched(bytes, 4, "\x01"));
  }
  SECTION("version") {
    check_refused(patched(bytes, 23, "\x0F"), Errc::unsupported);
    check_refused(patched(bytes, 23, "\x12"), Errc::unsupported);
    check_refused(patched(bytes, 27, "\x12"), Errc::unsupported);
  }
  SECTION("structure: offset beyond, in the header, not on 4; size beyond") {
    for (const auto* at : {"\x7F\xFF\xFF\xFC", "\xFF\xFF\xFF\xFC"}) {
      check_corrupt(patched(bytes, 8, at));
    }
    check_corrupt(patched(bytes, 8, std::string_view{"\0\0\0\x04", 4}));
    check_corrupt(patched(bytes, 11, "\x3A"));
    check_corrupt(patched(bytes, 36, "\xFF\xFF\xFF\xFF"));
  }
  SECTION("strings beyond the tree") {
    check_corrupt(patched(bytes, 12, "\xFF\xFF\xFF\xFF"));
    check_corrupt(patched(bytes, 32, "\xFF\xFF\xFF\xFF"));
  }
  SECTION("reservations: beyond, not on 8, without end") {
    check_corrupt(patched(bytes, 16, "\xFF\xFF\xFF\xF8"));
    check_corrupt(patched(bytes, 19, "\x2C"));
    auto endless = bytes;
    for (std::size_t at = 40; at < endless.size(); ++at) {
      endless[at] = std::byte{1};
    }
    check_corrupt(endless);
  }
  SECTION("a structure that is shorter or longer than its size") {
    check_corrupt(patched(bytes, 39, std::string_view{"\x10", 1}));
    check_corrupt(tree_of({1, 0, 2, 9, 4}));
  }
  SECTION("an unknown token") { check_corrupt(patched(bytes, kStructure + 3, "\x05")); }
  SECTION("a root with a name, a child without") {
    check_corrupt(patched(bytes, kStructure + 4, "r"));
    check_corrupt(tree_of({1, 0, 1, 0, 2, 2, 9}));
  }
  SECTION("two roots, none, one that is open, an end too much") {
    check_corrupt(tree_of({1, 0, 2, 1, 0, 2, 9}));
    check_corrupt(tree_of({9}));
    check_corrupt(tree_of({1, 0, 9}));
    check_corrupt(tree_of({1, 0, 2, 2, 9}));
    check_corrupt(tree_of({1, 0, 2}));
  }
  SECTION("a name without end, and with bytes after it") {
    check_corrupt(tree_of({1, 0, 1, 0x61616161}));
    check_corrupt(tree_of({1, 0, 1, 0x61006100, 2, 2, 9}));
  }
  SECTION("a property outside of a node, after a node, beyond the structure") {
    check_corrupt(tree_of({3, 0, 0, 1, 0, 2, 9}));
    check_corrupt(tree_of({1, 0, 1, 0x61000000, 2, 3, 0, 0, 2, 9}));
    check_corrupt(tree_of({1, 0, 3, 400, 0, 2, 9}));
    check_corrupt(tree_of({1, 0, 3, 0xFFFFFFFF, 0, 2, 9}));
    check_corrupt(tree_of({1, 0, 3}));
    check_corrupt(patched(bytes, kRootProperty + 4, "\x01"));
  }
  SECTION("the name of a property: beyond the strings, empty, without end") {
    check_corrupt(tree_of({1, 0, 3, 0, 4, 2, 9}));
    check_corrupt(tree_of({1, 0, 3, 0, 0xFFFFFFFF, 2, 9}));
    check_corrupt(tree_of({1, 0, 3, 0, 1, 2, 9}));
    auto endless = tree_of({1, 0, 3, 0, 2, 2, 9});
    REQUIRE(read_device_tree(endless));
    endless.back() = std::byte{'x'};
    check_corrupt(endless);
  }
  SECTION("two of one name") {
    check_corrupt(tree_of({1, 0, 3, 0, 0, 3, 0, 0, 2, 9}));
    check_corrupt(tree_of({1, 0, 1, 0x61000000, 2, 1, 0x61000000, 2, 2, 9}));
  }
  SECTION("the token of the child") { check_corrupt(patched(bytes, kChild + 3, "\x08")); }
}

TEST_CASE("a device tree that is cut anywhere, or has any bit flipped, does no harm", "[image]") {
  const auto bytes = write_device_tree(sample());

  for (std::size_t size = 0; size < bytes.size(); ++size) {
    auto cut = Bytes{bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)};
    CHECK_FALSE(read_device_tree(cut));
  }
  for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    auto flipped = bytes;
    flipped[bit / 8] ^= std::byte{1} << (bit % 8);
    const auto root = read_device_tree(flipped);
    // What is still a tree can be written, and read as the same.
    if (root) {
      const auto again = read_device_tree(write_device_tree(*root));
      REQUIRE(again);
      CHECK(write_device_tree(*again) == write_device_tree(*root));
    }
  }
}
