// SPDX-License-Identifier: MIT
// The tree against cryptsetup's veritysetup: it accepts ours, and makes the same bytes.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch.hpp>

#include "sphere/core/encoding.h"
#include "sphere/core/file.h"
#include "sphere/core/guid.h"
#include "sphere/core/process.h"
#include "sphere/core/thread_pool.h"
#include "sphere/crypto/block_hash.h"
#include "sphere/image/block_io.h"
#include "sphere/image/merkle.h"
#include "tests/support/skip.h"

namespace {

using sphere::to_hex;
using Bytes = std::vector<std::byte>;
using namespace sphere::image;  // NOLINT(google-build-using-namespace): the module under test.

constexpr std::chrono::seconds kTimeLimit{30};
constexpr std::string_view kImage = "00112233-4455-6677-8899-aabbccddeeff";

// Debian puts it into a directory that is not on an ordinary user's PATH.
std::optional<std::string> veritysetup() {
  for (const auto* path : {"/usr/sbin/veritysetup", "/sbin/veritysetup", "/usr/bin/veritysetup"}) {
    if (std::filesystem::exists(path)) {
      return path;
    }
  }
  return std::nullopt;
}

// A file as package v2 lays it out: the body, then the hash area.
struct Package {
  Bytes bytes;
  MerkleTree tree;
};

Package make_package(std::size_t blocks) {
  std::mt19937 random{static_cast<unsigned>(blocks)};
  Package package{.bytes = Bytes(blocks * kMerkleBlockSize), .tree = {}};
  std::ranges::generate(package.bytes, [&] { return static_cast<std::byte>(random()); });
  const auto shape = MerkleShape::of(blocks);
  const auto engine = sphere::crypto::HashEngine::create();
  const auto image = sphere::Guid::parse(kImage).value_or(sphere::Guid{});
  REQUIRE(shape);
  REQUIRE(engine);
  REQUIRE_FALSE(image.is_zero());
  sphere::ThreadPool pool{2};
  MemoryHashArea area{*shape};
  const MerkleSalt salt = merkle_salt(image);
  const auto root = build_merkle_tree(
      {.engine = *engine, .pool = pool, .shape = *shape, .salt = salt, .sink = &area},
      MemoryBlocks{package.bytes});
  REQUIRE(root);
  package.tree = {.shape = *shape, .salt = salt, .root = *root};
  std::ranges::copy(verity_superblock(package.tree, image), area.bytes().begin());
  package.bytes.insert(package.bytes.end(), area.bytes().begin(), area.bytes().end());
  return package;
}

}  // namespace

TEST_CASE("veritysetup accepts our tree, and refuses it for a changed body", "[merkle]") {
  const auto tool = veritysetup();
  SKIP_UNLESS(tool, "no veritysetup: install the Debian package cryptsetup-bin");
  const std::size_t blocks = GENERATE(1U, 2U, 127U, 128U, 129U, 1000U, 16385U);
  INFO(blocks << " blocks");
  const auto directory = sphere::TemporaryDirectory::create();
  REQUIRE(directory);
  const auto path = directory->path() / "package";
  Package package = make_package(blocks);
  const sphere::Command command = {
      .program = *tool,
      .arguments = {"verify", path.string(), path.string(), to_hex(package.tree.root),
                    "--hash-offset=" + std::to_string(blocks * kMerkleBlockSize)}};

  REQUIRE(sphere::write_file(path, package.bytes));
  const auto good = sphere::run_captured(command, kTimeLimit);
  package.bytes[(blocks * kMerkleBlockSize) - 1] ^= std::byte{1};
  REQUIRE(sphere::write_file(path, package.bytes));
  const auto bad = sphere::run_captured(command, kTimeLimit);

  REQUIRE(good);
  INFO(good->error);
  CHECK(good->status.success());
  REQUIRE(bad);
  CHECK_FALSE(bad->status.success());
}

TEST_CASE("veritysetup format makes the same hash area as we", "[merkle]") {
  const auto tool = veritysetup();
  SKIP_UNLESS(tool, "no veritysetup: install the Debian package cryptsetup-bin");
  const std::size_t blocks = GENERATE(1U, 2U, 127U, 128U, 129U, 1000U, 16384U, 16385U);
  INFO(blocks << " blocks");
  const auto directory = sphere::TemporaryDirectory::create();
  REQUIRE(directory);
  const Package package = make_package(blocks);
  const std::size_t body_size = blocks * kMerkleBlockSize;
  const auto body = directory->path() / "body";
  const auto hashes = directory->path() / "hashes";
  REQUIRE(sphere::write_file(body, std::span{package.bytes}.first(body_size)));

  const auto result = sphere::run_captured(
      {.program = *tool,
       .arguments = {"format", body.string(), hashes.string(),
                     "--salt=" + to_hex(package.tree.salt), "--uuid=" + std::string{kImage}}},
      kTimeLimit);

  REQUIRE(result);
  INFO(result->error);
  REQUIRE(result->status.success());
  CHECK_THAT(result->output, Catch::Contains(to_hex(package.tree.root)));
  auto made = sphere::read_file(hashes, package.bytes.size());
  REQUIRE(made);
  made->resize(std::max(made->size(), kMerkleBlockSize));  // One block: the superblock alone.
  CHECK(std::ranges::equal(*made, std::span{package.bytes}.subspan(body_size)));
}
