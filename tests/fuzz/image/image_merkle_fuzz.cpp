// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <utility>
#include <vector>

#include "sphere/core/guid.h"
#include "sphere/core/thread_pool.h"
#include "sphere/crypto/block_hash.h"
#include "sphere/image/block_io.h"
#include "sphere/image/merkle.h"

namespace {

using namespace sphere::image;  // NOLINT(google-build-using-namespace): the module under test.

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

// A body of 130 blocks with its tree: two levels, the last leaves block nearly empty. The last
// three blocks need all of its hash blocks.
constexpr std::size_t kBlocks = 130;
constexpr std::size_t kFirst = 127;

struct Sample {
  std::vector<std::byte> body = std::vector<std::byte>(kBlocks * kMerkleBlockSize, std::byte{5});
  std::vector<std::byte> hash_area;
  MerkleTree tree;
  sphere::crypto::HashEngine engine;
};

Sample make_sample() {
  auto engine = sphere::crypto::HashEngine::create();
  auto shape = MerkleShape::of(kBlocks);
  require(engine && shape);
  Sample sample{.hash_area = {}, .tree = {.shape = *shape}, .engine = *std::move(engine)};
  MemoryHashArea area{*shape};
  MerkleStream stream{sample.engine, sample.tree.salt, &area};
  require(stream.update(sample.body).has_value());
  auto root = stream.finish();
  require(root.has_value());
  sample.tree.root = *root;
  std::ranges::copy(verity_superblock(sample.tree, {}), area.bytes().begin());
  sample.hash_area.assign(area.bytes().begin(), area.bytes().end());
  return sample;
}

// Changes `bytes` at places that the input names: three bytes of place, one of change.
void change(std::span<std::byte> bytes, std::span<const std::byte> input) {
  for (; input.size() >= 4; input = input.subspan(4)) {
    const auto place = std::to_integer<std::size_t>(input[0]) |
                       (std::to_integer<std::size_t>(input[1]) << 8U) |
                       (std::to_integer<std::size_t>(input[2]) << 16U);
    bytes[place % bytes.size()] ^= input[3];
  }
}

}  // namespace

// A changed hash area and a changed body are accepted only if the changes change nothing.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Sample sample = make_sample();
  const auto input = std::as_bytes(std::span{data, size});
  auto hash_area = sample.hash_area;
  const auto signed_part = std::span{sample.body}.subspan(kFirst * kMerkleBlockSize);
  std::vector<std::byte> part{signed_part.begin(), signed_part.end()};
  change(hash_area, input.first(size / 8 * 4));
  change(part, input.subspan(size / 8 * 4));
  const MemoryBlocks area{hash_area};
  MerkleVerifier verifier{sample.engine, sample.tree, area};

  const bool proven = verifier.verify(kFirst, part).has_value();

  const bool same_tree = std::ranges::equal(std::span{hash_area}.subspan(kMerkleBlockSize),
                                            std::span{sample.hash_area}.subspan(kMerkleBlockSize));
  require(proven == (same_tree && std::ranges::equal(part, signed_part)));
  const auto superblock = std::span{hash_area}.first<kMerkleBlockSize>();
  require(check_verity_superblock(superblock, sample.tree, {}).has_value() ==
          std::ranges::equal(superblock, std::span{sample.hash_area}.first(kMerkleBlockSize)));
  return 0;
}
