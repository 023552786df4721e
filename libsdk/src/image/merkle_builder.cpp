// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "libsdk/src/image/merkle_levels.h"
#include "sphere/core/result.h"
#include "sphere/core/thread_pool.h"
#include "sphere/crypto/block_hash.h"
#include "sphere/image/block_io.h"
#include "sphere/image/merkle.h"

namespace sphere::image {
namespace {

// Groups whose hashes are kept until the upper levels take them, in order: 32 KiB for 512 MiB of
// body. The threads meet once a wave.
constexpr std::size_t kGroupsPerWave = 1024;

// Hashes what it reads from a body.
class BodyLeaves final : public LeafSource {
 public:
  BodyLeaves(const MerkleBuild& build, const BlockSource& body)
      : build_{&build}, body_{&body}, buffers_(build.pool.size()) {}

  Result<void> fill(std::uint64_t first, std::span<MerkleHash> leaves,
                    std::size_t worker) override {
    auto& buffer = buffers_[worker];
    buffer.resize(kRunBlocks * kMerkleBlockSize);
    const auto wanted = std::span{buffer}.first(leaves.size() * kMerkleBlockSize);
    SPHERE_TRY_ASSIGN(const auto blocks, body_->read(first * kMerkleBlockSize, wanted));
    build_->engine.hash_leaves(build_->salt, blocks, leaves);
    return {};
  }

 private:
  const MerkleBuild* build_;
  const BlockSource* body_;
  std::vector<std::vector<std::byte>> buffers_;  // One a worker.
};

// A group is the data of one leaves block: 128 blocks, 512 KiB, the job of one thread.
class GroupHasher {
 public:
  GroupHasher(const MerkleBuild& build, LeafSource& leaves) : build_{&build}, leaves_{&leaves} {}

  // Fills a group's leaves, writes their block, and returns the hash of that; for the only block of
  // a body its leaf.
  [[nodiscard]] Result<MerkleHash> hash(std::uint64_t group, std::size_t worker) const {
    std::array<MerkleHash, kHashesPerBlock> leaves = {};
    const std::uint64_t first = group * kHashesPerBlock;
    const auto count = static_cast<std::size_t>(
        std::min<std::uint64_t>(kHashesPerBlock, build_->shape.data_blocks() - first));
    for (std::size_t done = 0; done < count; done += kRunBlocks) {
      const auto run = std::span{leaves}.subspan(done, std::min(kRunBlocks, count - done));
      SPHERE_TRY(leaves_->fill(first + done, run, worker));
    }
    if (build_->shape.data_blocks() == 1) {
      return leaves[0];
    }
    const auto block = std::as_bytes(std::span{leaves});
    if (build_->sink != nullptr) {
      SPHERE_TRY(build_->sink->write(0, group, block));
    }
    return hash_block(build_->engine, build_->salt, block);
  }

 private:
  const MerkleBuild* build_;
  LeafSource* leaves_;
};

// Hashes groups `first` to first + hashes.size() - 1.
Result<void> hash_wave(const MerkleBuild& build, const GroupHasher& hasher, std::uint64_t first,
                       std::span<MerkleHash> hashes) {
  const std::size_t skipped = build.first_run_last ? 1 : 0;
  const auto job = [&](std::size_t index, std::size_t worker) -> Result<void> {
    SPHERE_TRY_ASSIGN(hashes[skipped + index], hasher.hash(first + skipped + index, worker));
    return {};
  };
  SPHERE_TRY(run_groups(build.pool, build.shape.data_blocks(), hashes.size() - skipped, job));
  if (build.first_run_last) {
    SPHERE_TRY_ASSIGN(hashes[0], hasher.hash(0, 0));
  }
  return {};
}

// The first group of a body can wait only as long as its wave.
Result<void> check_wave(const MerkleBuild& build, std::uint64_t groups) {
  if (build.first_run_last && groups > kGroupsPerWave) {
    return fail(Errc::too_large, "a body whose first block is hashed last holds at most 512 MiB",
                {.reason = "package.too-large",
                 .value = std::to_string(build.shape.data_blocks()) + " blocks of 4096 bytes"});
  }
  return {};
}

Result<void> add_all(MerkleLevels& levels, std::size_t level, std::span<const MerkleHash> hashes) {
  for (const MerkleHash& hash : hashes) {
    SPHERE_TRY(levels.add(level, hash));
  }
  return {};
}

}  // namespace

Result<MerkleHash> build_merkle_tree(const MerkleBuild& build, const BlockSource& body) {
  BodyLeaves leaves{build, body};
  return build_merkle_tree(build, leaves);
}

Result<MerkleHash> build_merkle_tree(const MerkleBuild& build, LeafSource& leaves) {
  const std::uint64_t data_blocks = build.shape.data_blocks();
  const std::uint64_t groups = (data_blocks + kHashesPerBlock - 1) / kHashesPerBlock;
  SPHERE_TRY(check_wave(build, groups));
  GroupHasher hasher{build, leaves};
  MerkleLevels levels{build.engine, build.salt, build.sink};
  const std::size_t level = data_blocks == 1 ? 0 : 1;
  std::vector<MerkleHash> hashes;
  for (std::uint64_t first = 0; first < groups; first += hashes.size()) {
    hashes.resize(
        static_cast<std::size_t>(std::min<std::uint64_t>(kGroupsPerWave, groups - first)));
    SPHERE_TRY(hash_wave(build, hasher, first, hashes));
    SPHERE_TRY(add_all(levels, level, hashes));
  }
  return levels.finish();
}

MerkleStream::MerkleStream(const crypto::HashEngine& engine, const MerkleSalt& salt,
                           MerkleSink* sink)
    : engine_{&engine}, salt_{salt}, levels_{std::make_unique<MerkleLevels>(engine, salt, sink)} {}
MerkleStream::MerkleStream(MerkleStream&& other) noexcept = default;
MerkleStream& MerkleStream::operator=(MerkleStream&& other) noexcept = default;
MerkleStream::~MerkleStream() = default;

Result<void> MerkleStream::update(std::span<const std::byte> bytes) {
  if (!partial_.empty()) {
    const std::size_t taken = std::min(kMerkleBlockSize - partial_.size(), bytes.size());
    partial_.insert(partial_.end(), bytes.begin(),
                    bytes.begin() + static_cast<std::ptrdiff_t>(taken));
    bytes = bytes.subspan(taken);
    if (partial_.size() == kMerkleBlockSize) {
      SPHERE_TRY(add_leaf(hash_block(*engine_, salt_, partial_)));
      partial_.clear();
    }
  }
  const std::size_t rest = bytes.size() % kMerkleBlockSize;
  SPHERE_TRY(add_whole_blocks(bytes.first(bytes.size() - rest)));
  const auto tail = bytes.last(rest);
  partial_.insert(partial_.end(), tail.begin(), tail.end());
  return {};
}

Result<void> MerkleStream::add_whole_blocks(std::span<const std::byte> blocks) {
  std::array<MerkleHash, kRunBlocks> hashes = {};
  while (!blocks.empty()) {
    const std::size_t count = std::min(kRunBlocks, blocks.size() / kMerkleBlockSize);
    const auto leaves = std::span{hashes}.first(count);
    engine_->hash_leaves(salt_, blocks.first(count * kMerkleBlockSize), leaves);
    for (const MerkleHash& leaf : leaves) {
      SPHERE_TRY(add_leaf(leaf));
    }
    blocks = blocks.subspan(count * kMerkleBlockSize);
  }
  return {};
}

Result<void> MerkleStream::add_leaf(const MerkleHash& leaf) { return levels_->add(0, leaf); }

Result<MerkleHash> MerkleStream::finish() {
  if (!partial_.empty()) {
    return fail(Errc::corrupt, "the body is no multiple of 4096 bytes",
                {.reason = "package.corrupt",
                 .value = std::to_string(partial_.size()) + " bytes in the last block"});
  }
  return levels_->finish();
}

}  // namespace sphere::image
