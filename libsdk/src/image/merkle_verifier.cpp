// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "libsdk/src/image/merkle_levels.h"
#include "sphere/core/bytes.h"
#include "sphere/core/result.h"
#include "sphere/core/thread_pool.h"
#include "sphere/crypto/block_hash.h"
#include "sphere/image/block_io.h"
#include "sphere/image/merkle.h"

namespace sphere::image {
namespace {

tl::unexpected<Error> mismatch(const std::string& what, std::string_view where,
                               std::uint64_t offset) {
  return fail(Errc::unverified, what + " does not match the signed hash tree",
              {.reason = "package.untrusted",
               .value = fmt::format("offset {} of the {}", offset, where),
               .next = "get the package again"});
}

// The hashes of a level that its block `index` may hold; the rest of the block is zero.
std::size_t used_hashes(const MerkleShape& shape, std::size_t level, std::uint64_t index) {
  const std::uint64_t below = level == 0 ? shape.data_blocks() : shape.level_blocks(level - 1);
  return static_cast<std::size_t>(
      std::min<std::uint64_t>(kHashesPerBlock, below - (index * kHashesPerBlock)));
}

// What one thread needs to check groups of blocks.
struct Worker {
  MerkleVerifier verifier;
  std::vector<std::byte> buffer;
};

Result<void> verify_group(const MerkleCheck& check, Worker& worker, const BlockSource& body,
                          std::uint64_t first, std::uint64_t end) {
  worker.buffer.resize(kRunBlocks * kMerkleBlockSize);
  for (std::uint64_t block = first; block < end; block += kRunBlocks) {
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(kRunBlocks, end - block));
    const auto wanted = std::span{worker.buffer}.first(count * kMerkleBlockSize);
    SPHERE_TRY_ASSIGN(const auto blocks, body.read(block * kMerkleBlockSize, wanted));
    SPHERE_TRY(worker.verifier.verify(block, blocks));
    if (check.use) {
      SPHERE_TRY(check.use(block * kMerkleBlockSize, blocks));
    }
  }
  return {};
}

}  // namespace

MerkleVerifier::MerkleVerifier(const crypto::HashEngine& engine, const MerkleTree& tree,
                               const BlockSource& hash_area)
    : engine_{&engine}, tree_{&tree}, hash_area_{&hash_area}, proven_(tree.shape.levels()) {}

Result<void> MerkleVerifier::verify(std::uint64_t first, std::span<const std::byte> blocks) {
  const std::uint64_t count = blocks.size() / kMerkleBlockSize;
  const std::uint64_t data_blocks = tree_->shape.data_blocks();
  if (blocks.size() % kMerkleBlockSize != 0 || first > data_blocks || count > data_blocks - first) {
    return fail(Errc::invalid_argument,
                fmt::format("{} bytes from block {} on are not blocks of a body of {}",
                            blocks.size(), first, data_blocks));
  }
  while (!blocks.empty()) {
    const auto in_group = static_cast<std::size_t>(kHashesPerBlock - (first % kHashesPerBlock));
    const std::size_t taken = std::min(in_group, blocks.size() / kMerkleBlockSize);
    SPHERE_TRY(verify_run(first, blocks.first(taken * kMerkleBlockSize)));
    blocks = blocks.subspan(taken * kMerkleBlockSize);
    first += taken;
  }
  return {};
}

// Up to 128 blocks whose leaves lie in one hash block.
Result<void> MerkleVerifier::verify_run(std::uint64_t first, std::span<const std::byte> blocks) {
  std::array<MerkleHash, kHashesPerBlock> computed = {};
  const auto hashes = std::span{computed}.first(blocks.size() / kMerkleBlockSize);
  SPHERE_TRY_ASSIGN(const auto expected, prove_leaves(first / kHashesPerBlock));
  engine_->hash_leaves(tree_->salt, blocks, hashes);
  const auto leaves = expected.subspan(first % kHashesPerBlock, hashes.size());
  const auto wrong = std::ranges::mismatch(hashes, leaves).in1;
  if (wrong != hashes.end()) {
    const std::uint64_t block = first + static_cast<std::uint64_t>(wrong - hashes.begin());
    return mismatch(fmt::format("block {}", block), "body", block * kMerkleBlockSize);
  }
  return {};
}

// The leaves of one group, proven from the root down.
Result<std::span<const MerkleHash>> MerkleVerifier::prove_leaves(std::uint64_t group) {
  std::span<const MerkleHash> expected{&tree_->root, 1};
  for (std::size_t level = proven_.size(); level-- > 0;) {
    std::uint64_t index = group;
    for (std::size_t below = 0; below < level; ++below) {
      index /= kHashesPerBlock;
    }
    const bool is_top = level + 1 == proven_.size();
    SPHERE_TRY(prove(level, index, expected[is_top ? 0 : index % kHashesPerBlock]));
    expected = proven_[level].hashes;
  }
  return expected;
}

// Makes block `index` of the level the proven one.
Result<void> MerkleVerifier::prove(std::size_t level, std::uint64_t index,
                                   const MerkleHash& expected) {
  Proven& proven = proven_[level];
  if (proven.index == index) {
    return {};
  }
  proven.index = UINT64_MAX;  // Until it is proven.
  std::array<std::byte, kMerkleBlockSize> buffer = {};
  const std::uint64_t offset = tree_->shape.offset(level, index);
  SPHERE_TRY_ASSIGN(const auto block, hash_area_->read(offset, buffer));
  if (hash_block(*engine_, tree_->salt, block) != expected) {
    return mismatch(fmt::format("hash block {} of level {}", index, level), "hash area", offset);
  }
  copy_bytes(block, std::as_writable_bytes(std::span{proven.hashes}));
  const auto rest = std::span{proven.hashes}.subspan(used_hashes(tree_->shape, level, index));
  if (std::ranges::any_of(rest, [](const MerkleHash& hash) { return hash != MerkleHash{}; })) {
    return fail(
        Errc::corrupt,
        fmt::format("the rest of hash block {} of level {} is not zero", index, level),
        {.reason = "package.corrupt", .value = fmt::format("offset {} of the hash area", offset)});
  }
  proven.index = index;
  return {};
}

Result<void> verify_merkle_tree(const MerkleCheck& check, const BlockSource& body) {
  const std::uint64_t data_blocks = check.tree.shape.data_blocks();
  const std::uint64_t groups = (data_blocks + kHashesPerBlock - 1) / kHashesPerBlock;
  std::vector<Worker> workers;
  workers.reserve(check.pool.size());
  for (std::size_t i = 0; i < check.pool.size(); ++i) {
    workers.push_back({MerkleVerifier{check.engine, check.tree, check.hash_area}, {}});
  }
  const auto job = [&](std::size_t group, std::size_t worker) -> Result<void> {
    const std::uint64_t first = std::uint64_t{group} * kHashesPerBlock;
    return verify_group(check, workers[worker], body, first,
                        std::min(first + kHashesPerBlock, data_blocks));
  };
  return run_groups(check.pool, data_blocks, static_cast<std::size_t>(groups), job);
}

}  // namespace sphere::image
