// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <random>
#include <span>
#include <string>
#include <vector>

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "libsdk/src/image/asxipfs_check.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/core/thread_pool.h"
#include "sphere/image/asxipfs.h"
#include "sphere/image/block_io.h"
#include "sphere/image/merkle.h"
#include "sphere/image/package.h"
#include "sphere/image/package_v2.h"
#include "sphere/image/trust.h"
#include "sphere/image/verify_v2.h"
#include "tests/unit/image/golden_v2.h"

using sphere::Errc;
using sphere::Result;
using sphere::test::Bytes;
using sphere::test::TestTools;

namespace image = sphere::image;

namespace {

constexpr std::size_t kRun = std::size_t{256} * 1024;
const std::vector<std::size_t> kThreads = {1, 2, 8};

// Runs of the same byte, so that a part compresses, and random ones.
Bytes content(std::size_t size, unsigned seed) {
  std::mt19937 random{seed};
  Bytes bytes(size, static_cast<std::byte>(seed));
  std::generate(bytes.begin() + static_cast<std::ptrdiff_t>(size / 3), bytes.end(),
                [&] { return static_cast<std::byte>(random()); });
  return bytes;
}

std::map<std::string, image::FileSource> large_files() {
  return {{"app_manifest.json", {.content = content(900, 1)}},
          {"bin/app", {.content = content(3'000'001, 2), .executable = true}},
          {"data/a", {.content = content(700'000, 3)}},
          {"data/b", {.content = content(1'500'000, 4)}},
          {"data/c", {.content = content(4095, 5)}}};
}

// A package of 5 MB: ten groups of blocks, so that threads are started.
Bytes large_package(bool compress) {
  const auto directory = sphere::TemporaryDirectory::create();
  REQUIRE(directory);
  for (const auto& [path, file] : large_files()) {
    const auto target = directory->path() / path;
    REQUIRE(sphere::make_directories(target.parent_path()));
    REQUIRE(sphere::write_file(target, file.content, {.sync = false}));
  }
  auto application = sphere::test::golden_application(directory->path());
  application.info.compress = compress;
  TestTools tools;
  auto package = sphere::test::pack_v2(application, tools.get());
  REQUIRE(package);
  return *std::move(package);
}

// All of it, as the command `verify` does.
Result<void> check_all(const Bytes& bytes, std::size_t threads) {
  TestTools tools{threads};
  SPHERE_TRY_ASSIGN(auto package, image::parse_package(bytes));
  SPHERE_TRY_ASSIGN(const auto verified,
                    image::verify(std::move(package), sphere::test::golden_trust()));
  return image::check_body_v2(*verified, tools.get());
}

Bytes flipped(Bytes bytes, std::size_t at) {
  bytes.at(at) ^= std::byte{0x10};
  return bytes;
}

std::string text(const Result<void>& result) {
  return result ? "good" : std::string{result.error().message()};
}

// The check of a whole body by runs in the order of `runs`.
Result<void> check_by_runs(const image::FileSystem& files, const Bytes& body,
                           const std::vector<std::size_t>& runs) {
  image::AsxipfsRunCheck check{files, kRun};
  for (const auto run : runs) {
    const auto begin = run * kRun;
    SPHERE_TRY(
        check.take(begin, std::span{body}.subspan(begin, std::min(kRun, body.size() - begin))));
  }
  return check.finish();
}

std::vector<std::size_t> shuffled_runs(std::size_t size) {
  std::vector<std::size_t> runs((size + kRun - 1) / kRun);
  for (std::size_t i = 0; i < runs.size(); ++i) {
    runs[i] = i;
  }
  std::shuffle(runs.begin(), runs.end(), std::mt19937{7});
  return runs;
}

}  // namespace

TEST_CASE("a file system in a package v2 verifies with any number of threads", "[image]") {
  for (const bool compress : {false, true}) {
    const auto bytes = large_package(compress);
    for (const auto threads : kThreads) {
      CAPTURE(compress, threads);
      CHECK(text(check_all(bytes, threads)) == "good");
    }
  }
}

TEST_CASE("threads find a flipped bit and name its block", "[image]") {
  const auto bytes = large_package(false);
  const auto package = image::parse_package(bytes);
  REQUIRE(package);
  std::mt19937 random{3};
  // Behind the directories and the manifest, which are proven before.
  std::uniform_int_distribution<std::size_t> place{
      kRun, static_cast<std::size_t>(package->layout->body_area) - 1};
  for (int round = 0; round < 20; ++round) {
    const auto at = place(random);
    const auto damaged = flipped(bytes, at);
    for (const auto threads : kThreads) {
      const auto result = check_all(damaged, threads);
      CAPTURE(at, threads);
      REQUIRE_FALSE(result);
      CHECK(result.error().code() == Errc::unverified);
      CHECK(text(result) == fmt::format("block {} does not match the signed hash tree", at / 4096));
    }
  }
}

TEST_CASE("of several damaged blocks the lowest is named", "[image]") {
  auto bytes = large_package(false);
  for (const std::size_t at : {4'900'000U, 3'000'000U, 1'100'000U, 2'500'000U}) {
    bytes = flipped(std::move(bytes), at);
  }
  for (const auto threads : kThreads) {
    CHECK(text(check_all(bytes, threads)) ==
          fmt::format("block {} does not match the signed hash tree", 1'100'000 / 4096));
  }
}

TEST_CASE("a damaged chunk or hash block is found by any number of threads", "[image]") {
  const auto bytes = large_package(true);
  const auto package = image::parse_package(bytes);
  REQUIRE(package);
  REQUIRE(package->metadata.v2.chunks);
  for (const auto threads : kThreads) {
    const auto chunk =
        check_all(flipped(bytes, package->metadata.v2.chunks->chunks[0].stored_length +
                                     package->metadata.v2.chunks->chunks[1].stored_length + 1),
                  threads);
    REQUIRE_FALSE(chunk);
    CHECK(text(chunk) == "chunk 2 does not match the signed metadata");
    const auto last_hash_block =
        static_cast<std::size_t>(package->layout->body_area +
                                 package->layout->tree.shape.hash_area_size()) -
        4096;
    const auto tree = check_all(flipped(bytes, last_hash_block + 5), threads);
    REQUIRE_FALSE(tree);
    CHECK(tree.error().code() == Errc::unverified);
  }
}

TEST_CASE("runs in any order give the verdict of the pass in order", "[image]") {
  const auto body = image::write_asxipfs(large_files());
  REQUIRE(body);
  const auto files = image::read_asxipfs(*body);
  REQUIRE(files);
  const auto runs = shuffled_runs(body->size());
  CHECK(text(check_by_runs(*files, *body, runs)) == "good");

  // Content, the padding of each file, and the last byte of the body.
  std::vector<std::size_t> places = {files->directory_area->size(), body->size() - 1};
  for (const auto& file : files->files) {
    places.push_back(file.offset);
    places.push_back(file.offset + file.size);
  }
  for (const auto at : places) {
    const auto damaged = flipped(*body, at);
    auto system = *files;
    system.body = std::make_shared<image::MemoryBlocks>(damaged);
    const auto in_order = image::check_asxipfs(system);
    const auto by_runs = check_by_runs(system, damaged, runs);
    CAPTURE(at);
    REQUIRE_FALSE(in_order);
    CHECK(text(by_runs) == text(in_order));
    CHECK(by_runs.error().code() == in_order.error().code());
  }
}

TEST_CASE("a run that lies in the directory area is not counted twice", "[image]") {
  // Directories of more than one small run: 200 files whose names fill pages.
  std::map<std::string, image::FileSource> tree;
  for (int i = 0; i < 200; ++i) {
    tree[fmt::format("{:0>200}", i)] = {.content = content(10, 9)};
  }
  const auto body = image::write_asxipfs(tree);
  REQUIRE(body);
  const auto files = image::read_asxipfs(*body);
  REQUIRE(files);
  constexpr std::size_t kSmallRun = 4096;
  REQUIRE(files->directory_area->size() > 2 * kSmallRun);
  image::AsxipfsRunCheck check{*files, kSmallRun};
  for (std::size_t at = 0; at < body->size(); at += kSmallRun) {
    REQUIRE(check.take(at, std::span{*body}.subspan(at, kSmallRun)));
  }
  CHECK(check.finish());
}

TEST_CASE("each run is given to its user once, after it is proven", "[image]") {
  const auto bytes = large_package(false);
  const auto package = image::parse_package(bytes);
  REQUIRE(package);
  const auto& tree = package->layout->tree;
  const auto body_size = static_cast<std::size_t>(package->layout->body_area);
  const image::MemoryBlocks hash_area{std::span{bytes}.subspan(body_size)};
  const auto engine = sphere::crypto::HashEngine::create();
  REQUIRE(engine);
  for (const auto threads : kThreads) {
    sphere::ThreadPool pool{threads};
    std::mutex mutex;
    std::map<std::uint64_t, std::size_t> seen;
    std::uint64_t failing = UINT64_MAX;
    const auto run = [&] {
      return image::verify_merkle_tree(
          {.engine = *engine,
           .pool = pool,
           .tree = tree,
           .hash_area = hash_area,
           .use = [&](std::uint64_t offset, std::span<const std::byte> blocks) -> Result<void> {
             const std::lock_guard lock{mutex};
             seen[offset] += blocks.size();
             CHECK(std::ranges::equal(blocks, std::span{bytes}.subspan(offset, blocks.size())));
             return offset < failing ? Result<void>{}
                                     : sphere::fail(Errc::io, fmt::format("run at {}", offset));
           }},
          image::MemoryBlocks{std::span{bytes}.first(body_size)});
    };
    CHECK(run());
    std::size_t total = 0;
    for (const auto& [offset, size] : seen) {
      CHECK(offset % kRun == 0);
      CHECK(size <= kRun);
      total += size;
    }
    CHECK(total == body_size);

    failing = 3 * kRun;  // This and every later one: the lowest is reported.
    CHECK(text(run()) == fmt::format("run at {}", failing));
  }
}
