// SPDX-License-Identifier: MIT
#include "sphere/image/merkle.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <fcntl.h>
#include <map>
#include <mutex>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "sphere/core/descriptor.h"
#include "sphere/core/encoding.h"
#include "sphere/core/file.h"
#include "sphere/core/guid.h"
#include "sphere/core/result.h"
#include "sphere/core/thread_pool.h"
#include "sphere/crypto/block_hash.h"
#include "sphere/image/block_io.h"

namespace {

using sphere::Errc;
using sphere::Guid;
using sphere::Result;
using sphere::ThreadPool;
using sphere::to_hex;
using sphere::crypto::HashEngine;
using namespace sphere::image;  // NOLINT(google-build-using-namespace): the module under test.
using Bytes = std::vector<std::byte>;

constexpr std::size_t kBlock = kMerkleBlockSize;

HashEngine engine() {
  auto made = HashEngine::create();
  REQUIRE(made);
  return *std::move(made);
}

MerkleShape shape_of(std::uint64_t data_blocks) {
  auto shape = MerkleShape::of(data_blocks);
  REQUIRE(shape);
  return *std::move(shape);
}

// The body of the golden trees: byte i is i mod 251.
Bytes golden_body(std::size_t blocks) {
  Bytes body(blocks * kBlock);
  for (std::size_t i = 0; i < body.size(); ++i) {
    body[i] = static_cast<std::byte>(i % 251);
  }
  return body;
}

MerkleSalt golden_salt() {
  MerkleSalt salt = {};
  for (std::size_t i = 0; i < salt.size(); ++i) {
    salt[i] = static_cast<std::byte>(i);
  }
  return salt;
}

Bytes random_body(std::size_t blocks, unsigned seed) {
  std::mt19937 random{seed};
  Bytes body(blocks * kBlock);
  std::ranges::generate(body, [&] { return static_cast<std::byte>(random()); });
  return body;
}

// A body with its tree, built in memory.
struct Built {
  MerkleTree tree;
  Bytes hash_area;
};

Built build(const HashEngine& hasher, std::span<const std::byte> body, std::size_t threads = 1,
            bool first_run_last = false) {
  ThreadPool pool{threads};
  const MerkleShape shape = shape_of(body.size() / kBlock);
  MemoryHashArea area{shape};
  const auto root = build_merkle_tree({.engine = hasher,
                                       .pool = pool,
                                       .shape = shape,
                                       .salt = golden_salt(),
                                       .sink = &area,
                                       .first_run_last = first_run_last},
                                      MemoryBlocks{body});
  REQUIRE(root);
  return {.tree = {.shape = shape, .salt = golden_salt(), .root = *root},
          .hash_area = {area.bytes().begin(), area.bytes().end()}};
}

Built build_by_stream(const HashEngine& hasher, std::span<const std::byte> body,
                      std::size_t piece) {
  const MerkleShape shape = shape_of(body.size() / kBlock);
  MemoryHashArea area{shape};
  MerkleStream stream{hasher, golden_salt(), &area};
  for (auto rest = body; !rest.empty();) {
    const std::size_t taken = std::min(piece, rest.size());
    REQUIRE(stream.update(rest.first(taken)));
    rest = rest.subspan(taken);
  }
  const auto root = stream.finish();
  REQUIRE(root);
  return {.tree = {.shape = shape, .salt = golden_salt(), .root = *root},
          .hash_area = {area.bytes().begin(), area.bytes().end()}};
}

Result<void> verify(const HashEngine& hasher, const MerkleTree& tree,
                    std::span<const std::byte> hash_area, std::span<const std::byte> body,
                    std::size_t threads = 1) {
  ThreadPool pool{threads};
  const MemoryBlocks area{hash_area};
  return verify_merkle_tree({.engine = hasher, .pool = pool, .tree = tree, .hash_area = area},
                            MemoryBlocks{body});
}

// A source that fails at one offset.
class FailingBlocks final : public BlockSource {
 public:
  FailingBlocks(std::span<const std::byte> bytes, std::uint64_t bad) : bytes_{bytes}, bad_{bad} {}
  [[nodiscard]] Result<std::span<const std::byte>> read(
      std::uint64_t offset, std::span<std::byte> buffer) const override {
    if (offset >= bad_) {
      return sphere::fail(Errc::io, "cannot read at " + std::to_string(offset));
    }
    return bytes_.read(offset, buffer);
  }

 private:
  MemoryBlocks bytes_;
  std::uint64_t bad_;
};

// Remembers in which order offsets were asked for.
class RecordingBlocks final : public BlockSource {
 public:
  explicit RecordingBlocks(std::span<const std::byte> bytes) : bytes_{bytes} {}
  [[nodiscard]] Result<std::span<const std::byte>> read(
      std::uint64_t offset, std::span<std::byte> buffer) const override {
    const std::lock_guard lock{mutex_};
    offsets_.push_back(offset);
    bytes_read_ += buffer.size();
    return bytes_.read(offset, buffer);
  }
  [[nodiscard]] const std::vector<std::uint64_t>& offsets() const { return offsets_; }
  [[nodiscard]] std::size_t bytes_read() const { return bytes_read_; }

 private:
  MemoryBlocks bytes_;
  mutable std::mutex mutex_;
  mutable std::vector<std::uint64_t> offsets_;
  mutable std::size_t bytes_read_ = 0;
};

}  // namespace

TEST_CASE("the golden trees come out, from one thread, two, and a stream", "[merkle]") {
  struct Case {
    std::size_t blocks, levels;
    std::uint64_t tree_blocks;
    std::string root;
  };
  const auto test = GENERATE(values<Case>({
      {1, 0, 0, "f9629ec228b5c00268d95f3299754de3ec27dd878f059ded6c9b3955d01775ee"},
      {2, 1, 1, "f3c6c4e5ec27940a193ff84f3a96c5956ed6854bbc1d46c3c5ef2dec6e670fc0"},
      {128, 1, 1, "aeed836743e049ba4415cf73bdbeed1b509b9a2c614611abde9367616afbfa99"},
      {129, 2, 3, "47dc6c1d9c2cc61492a6d2448ad946ed1192d281478f00c3a8a29316890a435b"},
      {16384, 2, 129, "817289901a4ebe4ba3674bb0d872f06ad62191cd5bdcc7eea89d3007b7032239"},
      {16385, 3, 132, "4cb89ba5dd50276027e74fa4a5dd1107e55032057f716997bbc5e236b2f52fc7"},
  }));
  INFO(test.blocks << " blocks");
  const HashEngine hasher = engine();
  const Bytes body = golden_body(test.blocks);

  const Built serial = build(hasher, body);
  const Built parallel = build(hasher, body, 2);
  const Built streamed = build_by_stream(hasher, body, 100000);

  CHECK(serial.tree.shape.levels() == test.levels);
  CHECK(serial.tree.shape.tree_blocks() == test.tree_blocks);
  CHECK(serial.hash_area.size() == (1 + test.tree_blocks) * kBlock);
  CHECK(to_hex(serial.tree.root) == test.root);
  CHECK(parallel.tree.root == serial.tree.root);
  CHECK(streamed.tree.root == serial.tree.root);
  CHECK(parallel.hash_area == serial.hash_area);
  CHECK(streamed.hash_area == serial.hash_area);
  CHECK(verify(hasher, serial.tree, serial.hash_area, body, 2));
}

TEST_CASE("threads, pieces and order of reading change no byte of a tree", "[merkle]") {
  const HashEngine hasher = engine();
  const std::size_t blocks = GENERATE(3U, 127U, 300U, 511U, 512U, 1000U, 1281U);
  INFO(blocks << " blocks");
  const Bytes body = random_body(blocks, static_cast<unsigned>(blocks));
  const Built expected = build(hasher, body);

  for (const std::size_t threads : {2U, 8U}) {
    for (const bool first_run_last : {false, true}) {
      const Built built = build(hasher, body, threads, first_run_last);
      CHECK(built.tree.root == expected.tree.root);
      CHECK(built.hash_area == expected.hash_area);
    }
  }
  for (const std::size_t piece : {1000U, 4096U, 5000U, 65536U, 1000000U}) {
    const Built built = build_by_stream(hasher, body, piece);
    CHECK(built.tree.root == expected.tree.root);
    CHECK(built.hash_area == expected.hash_area);
  }
}

TEST_CASE("every back-end builds the same tree", "[merkle]") {
  const Bytes body = random_body(150, 5);
  const Built expected = build(engine(), body);
  for (const auto* name : {"evp", "portable", "shani_x1", "shani_x4", "avx2x8", "avx512x16"}) {
    const auto forced = HashEngine::create(name);
    if (forced) {  // Which rows this processor has is the subject of the hash tests.
      INFO(name);
      CHECK(build(*forced, body).hash_area == expected.hash_area);
    }
  }
}

TEST_CASE("a body is read once, its first run last when asked for", "[merkle]") {
  const HashEngine hasher = engine();
  const Bytes body = random_body(700, 1);
  const RecordingBlocks source{body};
  ThreadPool pool{2};

  const auto root = build_merkle_tree({.engine = hasher,
                                       .pool = pool,
                                       .shape = shape_of(700),
                                       .salt = golden_salt(),
                                       .first_run_last = true},
                                      source);

  REQUIRE(root);
  CHECK(source.bytes_read() == body.size());
  const auto& offsets = source.offsets();
  REQUIRE(offsets.size() == 11);
  CHECK(offsets[9] == 0);
  CHECK(offsets[10] == 262144);
}

TEST_CASE("a body above 512 MiB cannot have its first run hashed last", "[merkle]") {
  const HashEngine hasher = engine();
  ThreadPool pool{1};

  const auto root = build_merkle_tree(
      {.engine = hasher, .pool = pool, .shape = shape_of(131073), .first_run_last = true},
      MemoryBlocks{{}});

  REQUIRE_FALSE(root);
  CHECK(root.error().code() == Errc::too_large);
}

TEST_CASE("the lowest failed read is reported", "[merkle]") {
  const HashEngine hasher = engine();
  const Bytes body = random_body(2000, 2);
  ThreadPool pool{2};

  const auto root = build_merkle_tree({.engine = hasher, .pool = pool, .shape = shape_of(2000)},
                                      FailingBlocks{body, std::uint64_t{5} * 524288});

  REQUIRE_FALSE(root);
  CHECK(root.error().message() == "cannot read at 2621440");
}

TEST_CASE("a stream that is no whole number of blocks has no tree", "[merkle]") {
  const HashEngine hasher = engine();
  MerkleStream empty{hasher, golden_salt()};
  MerkleStream odd{hasher, golden_salt()};
  REQUIRE(odd.update(Bytes(5000)));

  const auto no_root = empty.finish();
  const auto odd_root = odd.finish();

  REQUIRE_FALSE(no_root);
  CHECK(no_root.error().code() == Errc::corrupt);
  REQUIRE_FALSE(odd_root);
  CHECK(odd_root.error().code() == Errc::corrupt);
  CHECK(odd_root.error().hint().value == "904 bytes in the last block");
}

TEST_CASE("a shape has at least one block and at most what section mt can say", "[merkle]") {
  CHECK(MerkleShape::of(0).error().code() == Errc::invalid_argument);
  CHECK(MerkleShape::of(std::uint64_t{1} << 32).error().code() == Errc::too_large);
  const MerkleShape largest = shape_of(UINT32_MAX);
  CHECK(largest.levels() == 5);
  CHECK(largest.level_blocks(0) == 33554432);
  CHECK(largest.offset(4, 0) == kBlock);
  CHECK(largest.offset(0, 33554431) == largest.hash_area_size() - kBlock);
}

TEST_CASE("the salt follows from the component alone", "[merkle]") {
  const auto component = Guid::parse("3c1f0f5e-6a0b-4b8e-9d53-0a4c7b1f2d60");
  REQUIRE(component);

  CHECK(to_hex(merkle_salt(*component)) ==
        "18ceab34700b098a841ec6aaed1f9766bcaf7d465facab2256f0027a978526c2");
}

TEST_CASE("a flipped bit anywhere in the body is found and its block named", "[merkle]") {
  const HashEngine hasher = engine();
  Bytes body = random_body(700, 3);
  const Built built = build(hasher, body);
  std::mt19937 random{4};
  for (int i = 0; i < 200; ++i) {
    const std::size_t place = random() % body.size();
    const auto bit = static_cast<std::byte>(1U << (random() % 8));
    body[place] ^= bit;

    const auto result = verify(hasher, built.tree, built.hash_area, body, 2);

    body[place] ^= bit;
    REQUIRE_FALSE(result);
    CHECK(result.error().code() == Errc::unverified);
    CHECK_THAT(result.error().message(),
               Catch::StartsWith("block " + std::to_string(place / kBlock) + " does not"));
  }
}

TEST_CASE("a flipped bit anywhere in the tree is found, and none in the superblock", "[merkle]") {
  const HashEngine hasher = engine();
  const Bytes body = random_body(300, 3);
  Built built = build(hasher, body);
  REQUIRE(built.hash_area.size() == 5 * kBlock);
  for (std::size_t place = 0; place < built.hash_area.size(); place += 31) {
    built.hash_area[place] ^= std::byte{0x10};
    const auto result = verify(hasher, built.tree, built.hash_area, body);
    built.hash_area[place] ^= std::byte{0x10};
    INFO("offset " << place);
    if (place < kBlock) {  // The superblock is compared, not hashed.
      CHECK(result);
    } else {
      REQUIRE_FALSE(result);
      CHECK(result.error().code() == Errc::unverified);
      CHECK_THAT(result.error().message(), Catch::StartsWith("hash block"));
    }
  }
}

TEST_CASE("a wrong root, salt or number of blocks proves nothing", "[merkle]") {
  const HashEngine hasher = engine();
  const std::size_t blocks = GENERATE(1U, 2U, 300U);
  const Bytes body = random_body(blocks, 9);
  const Built built = build(hasher, body);
  MerkleTree wrong_root = built.tree;
  wrong_root.root[0] ^= std::byte{1};
  MerkleTree wrong_salt = built.tree;
  wrong_salt.salt[31] ^= std::byte{1};

  for (const MerkleTree& tree : {wrong_root, wrong_salt}) {
    const auto result = verify(hasher, tree, built.hash_area, body);
    REQUIRE_FALSE(result);
    CHECK(result.error().code() == Errc::unverified);
  }
}

TEST_CASE("a tree one block short is refused though its hashes match", "[merkle]") {
  const HashEngine hasher = engine();
  const Bytes body = random_body(200, 9);
  const Built built = build(hasher, body);
  MerkleTree shorter = built.tree;
  shorter.shape = shape_of(199);  // The 200th hash now stands where zeros must be.

  const auto result = verify(hasher, shorter, built.hash_area, std::span{body}.first(199 * kBlock));

  REQUIRE_FALSE(result);
  CHECK(result.error().code() == Errc::corrupt);
}

TEST_CASE("a hash area cut short is an error, not a proof", "[merkle]") {
  const HashEngine hasher = engine();
  const Bytes body = random_body(300, 9);
  const Built built = build(hasher, body);

  const auto result = verify(hasher, built.tree,
                             std::span{built.hash_area}.first(built.hash_area.size() - 1), body);

  REQUIRE_FALSE(result);
  CHECK(result.error().code() == Errc::corrupt);
}

TEST_CASE("blocks are proven in any order, and outside the body not at all", "[merkle]") {
  const HashEngine hasher = engine();
  const Bytes body = random_body(400, 6);
  const Built built = build(hasher, body);
  const MemoryBlocks area{built.hash_area};
  MerkleVerifier verifier{hasher, built.tree, area};
  std::mt19937 random{6};
  for (int i = 0; i < 200; ++i) {
    const std::size_t first = random() % 400;
    const std::size_t count = 1 + random() % (400 - first);
    const auto blocks = std::span{body}.subspan(first * kBlock, count * kBlock);
    REQUIRE(verifier.verify(first, blocks));
    const std::size_t other = (first + 1) % 400;
    REQUIRE_FALSE(verifier.verify(other, blocks.first(kBlock)));
  }
  for (const auto& [first, size] : {std::pair<std::uint64_t, std::size_t>{400, kBlock},
                                    {0, kBlock - 1},
                                    {0, 401 * kBlock},
                                    {UINT64_MAX, kBlock}}) {
    const auto result = verifier.verify(first, Bytes(size));
    REQUIRE_FALSE(result);
    CHECK(result.error().code() == Errc::invalid_argument);
  }
}

TEST_CASE("an unproven hash block is not taken for proven later", "[merkle]") {
  const HashEngine hasher = engine();
  const Bytes body = random_body(300, 6);
  Built built = build(hasher, body);
  Bytes damaged = built.hash_area;
  damaged[built.tree.shape.offset(0, 1) + 5] ^= std::byte{1};
  const MemoryBlocks area{damaged};
  MerkleVerifier verifier{hasher, built.tree, area};
  const auto block = std::span{body}.subspan(128 * kBlock, kBlock);

  CHECK_FALSE(verifier.verify(128, block));
  CHECK_FALSE(verifier.verify(128, block));
  damaged[built.tree.shape.offset(0, 1) + 5] ^= std::byte{1};
  CHECK(verifier.verify(128, block));
}

TEST_CASE("the golden superblock comes out and a changed byte is named", "[merkle]") {
  const auto image = Guid::parse("00112233-4455-6677-8899-aabbccddeeff");
  REQUIRE(image);
  const MerkleTree tree{.shape = shape_of(2), .salt = golden_salt(), .root = {}};

  const VeritySuperblock superblock = verity_superblock(tree, *image);

  CHECK(to_hex(sphere::crypto::sha256(superblock)) ==
        "2c5c1a621da8d4aca7dff2c65b58c5168dde797b528f2c1bd1e8b737bcff4464");
  std::array<std::byte, kMerkleBlockSize> block = {};
  std::ranges::copy(superblock, block.begin());
  CHECK(check_verity_superblock(block, tree, *image));
  const std::map<std::size_t, std::string> names = {
      {0, "signature"},   {11, "version"},          {12, "hash type"},
      {31, "UUID"},       {40, "algorithm"},        {64, "data block size"},
      {68, "hash block"}, {79, "number of data"},   {80, "salt length"},
      {87, "padding"},    {88, "salt is not what"}, {511, "padding"},
      {4095, "padding"}};
  for (std::size_t place = 0; place < block.size(); ++place) {
    block[place] ^= std::byte{0x80};
    const auto result = check_verity_superblock(block, tree, *image);
    block[place] ^= std::byte{0x80};
    REQUIRE_FALSE(result);
    CHECK(result.error().code() == Errc::corrupt);
    if (const auto name = names.find(place); name != names.end()) {
      CHECK_THAT(result.error().message(), Catch::Contains(name->second));
    }
  }
}

TEST_CASE("a tree is built and verified from files", "[merkle]") {
  const HashEngine hasher = engine();
  const Bytes body = random_body(600, 8);
  const Built expected = build(hasher, body);
  const auto directory = sphere::TemporaryDirectory::create();
  REQUIRE(directory);
  const auto path = directory->path() / "package";
  REQUIRE(sphere::write_file(path, body));
  {
    const sphere::Descriptor file{::open(path.c_str(), O_RDWR | O_CLOEXEC)};
    FileHashArea area{expected.tree.shape, file.get(), body.size()};
    const auto source = FileBlocks::open(path);
    REQUIRE(source);
    CHECK(source->size() == body.size());
    ThreadPool pool{2};

    const auto root = build_merkle_tree({.engine = hasher,
                                         .pool = pool,
                                         .shape = expected.tree.shape,
                                         .salt = golden_salt(),
                                         .sink = &area},
                                        *source);

    REQUIRE(root);
    CHECK(*root == expected.tree.root);
    const auto changed = source->check_unchanged();  // By our own tree behind the body.
    REQUIRE_FALSE(changed);
    CHECK(changed.error().code() == Errc::io);
  }
  const auto source = FileBlocks::open(path);
  const auto area = FileBlocks::open(path, body.size());
  REQUIRE(source);
  REQUIRE(area);
  CHECK(area->size() == expected.hash_area.size());
  ThreadPool pool{2};
  CHECK(verify_merkle_tree(
      {.engine = hasher, .pool = pool, .tree = expected.tree, .hash_area = *area}, *source));
  CHECK(source->check_unchanged());
}

TEST_CASE("a source that is too short or no file is an error", "[merkle]") {
  const auto directory = sphere::TemporaryDirectory::create();
  REQUIRE(directory);
  const auto path = directory->path() / "body";
  REQUIRE(sphere::write_file(path, Bytes(5000)));
  const auto source = FileBlocks::open(path);
  REQUIRE(source);
  Bytes buffer(kBlock);

  CHECK(source->read(904, buffer));
  const auto beyond = source->read(905, buffer);
  const auto far = source->read(UINT64_MAX - 10, buffer);
  const auto folder = FileBlocks::open(directory->path());
  const auto missing = FileBlocks::open(directory->path() / "none");

  REQUIRE_FALSE(beyond);
  CHECK(beyond.error().code() == Errc::io);
  CHECK_THAT(beyond.error().message(), Catch::Contains("ends at offset 5000, 1 bytes too early"));
  REQUIRE_FALSE(far);
  CHECK(far.error().code() == Errc::io);
  REQUIRE_FALSE(folder);
  CHECK(folder.error().code() == Errc::invalid_argument);
  REQUIRE_FALSE(missing);
  CHECK(missing.error().code() == Errc::not_found);
}
