// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "sphere/core/result.h"
#include "sphere/crypto/block_hash.h"
#include "sphere/image/merkle.h"

namespace sphere::image {

inline constexpr std::size_t kRunBlocks = 64;  // 256 KiB: stays in the second-level cache.
inline constexpr std::size_t kSerialBlocks =
    512;  // Below 2 MiB a thread costs more than it brings.

// SHA-256(salt | block) of one block.
[[nodiscard]] MerkleHash hash_block(const crypto::HashEngine& engine, const MerkleSalt& salt,
                                    std::span<const std::byte> block);

// Runs job(0) .. job(count - 1), on the pool if the body is worth it.
[[nodiscard]] Result<void> run_groups(ThreadPool& pool, std::uint64_t data_blocks,
                                      std::size_t count, const ThreadPool::Job& job);

// The upper part of a tree that grows from left to right: one open hash block for each level. A
// full one goes to the sink, and its hash into the level above.
class MerkleLevels {
 public:
  MerkleLevels(const crypto::HashEngine& engine, const MerkleSalt& salt, MerkleSink* sink)
      : engine_{&engine}, salt_{salt}, sink_{sink} {}

  // Adds the hash of the next block below `level`: of a data block for level 0.
  [[nodiscard]] Result<void> add(std::size_t level, MerkleHash hash);
  // Closes the open blocks and returns the root hash. Error corrupt if nothing was added.
  [[nodiscard]] Result<MerkleHash> finish();

 private:
  struct Level {
    std::array<MerkleHash, kHashesPerBlock> hashes = {};
    std::size_t open = 0;      // Hashes in the open block.
    std::uint64_t closed = 0;  // Blocks before it.
    [[nodiscard]] bool is_one_hash() const { return closed == 0 && open == 1; }
  };
  Result<MerkleHash> close(std::size_t level);
  Result<void> close_upwards(std::size_t level);

  const crypto::HashEngine* engine_;
  MerkleSalt salt_;
  MerkleSink* sink_;
  std::vector<Level> levels_;
};

}  // namespace sphere::image
