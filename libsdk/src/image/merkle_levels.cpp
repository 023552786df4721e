// SPDX-License-Identifier: MIT
#include "libsdk/src/image/merkle_levels.h"

#include <cstddef>
#include <cstdint>
#include <span>

#include "sphere/core/result.h"
#include "sphere/core/thread_pool.h"
#include "sphere/crypto/block_hash.h"
#include "sphere/image/merkle.h"

namespace sphere::image {

MerkleHash hash_block(const crypto::HashEngine& engine, const MerkleSalt& salt,
                      std::span<const std::byte> block) {
  MerkleHash hash = {};
  engine.hash_leaves(salt, block, std::span{&hash, 1});
  return hash;
}

Result<void> run_groups(ThreadPool& pool, std::uint64_t data_blocks, std::size_t count,
                        const ThreadPool::Job& job) {
  if (data_blocks >= kSerialBlocks) {
    return pool.run(count, job);
  }
  for (std::size_t index = 0; index < count; ++index) {
    SPHERE_TRY(job(index, 0));
  }
  return {};
}

Result<void> MerkleLevels::add(std::size_t level, MerkleHash hash) {
  while (true) {
    if (levels_.size() <= level) {
      levels_.resize(level + 1);
    }
    Level& here = levels_[level];
    std::span{here.hashes}[here.open] = hash;
    ++here.open;
    if (here.open < kHashesPerBlock) {
      return {};
    }
    SPHERE_TRY_ASSIGN(hash, close(level));
    ++level;
  }
}

Result<MerkleHash> MerkleLevels::finish() {
  for (std::size_t level = 0; level < levels_.size(); ++level) {
    if (level + 1 == levels_.size() && levels_[level].is_one_hash()) {
      return levels_[level].hashes[0];
    }
    if (levels_[level].open > 0) {
      SPHERE_TRY(close_upwards(level));
    }
  }
  return fail(Errc::corrupt, "a hash tree needs at least one block of data");
}

Result<void> MerkleLevels::close_upwards(std::size_t level) {
  SPHERE_TRY_ASSIGN(const MerkleHash hash, close(level));
  return add(level + 1, hash);
}

// Writes the open block, its rest zero, and returns its hash.
Result<MerkleHash> MerkleLevels::close(std::size_t level) {
  Level& here = levels_[level];
  const auto block = std::as_bytes(std::span{here.hashes});
  if (sink_ != nullptr) {
    SPHERE_TRY(sink_->write(level, here.closed, block));
  }
  const MerkleHash hash = hash_block(*engine_, salt_, block);
  here.hashes = {};
  here.open = 0;
  ++here.closed;
  return hash;
}

}  // namespace sphere::image
