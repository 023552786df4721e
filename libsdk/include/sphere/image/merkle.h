// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "sphere/core/guid.h"
#include "sphere/core/result.h"
#include "sphere/core/thread_pool.h"
#include "sphere/crypto/block_hash.h"
#include "sphere/crypto/digest.h"
#include "sphere/image/block_io.h"

// The hash tree of package v2, which is dm-verity's: SHA-256, hash format 1, blocks of 4096 bytes.
//
//   root hash          SHA-256(salt | the one block of the top level)
//     level n - 1      1 block
//     ...
//     level 0          ceil(data blocks / 128) blocks: the leaves
//   data blocks        leaf = SHA-256(salt | data block)
//
// A hash block holds 128 hashes of 32 bytes, of blocks one level below; the rest of a level's last
// block is zero. One data block: no levels, the root hash is its leaf.
//
//   hash area      offset
//   superblock          0   4096 bytes, of which 512 are used (verity_superblock)
//   level n - 1      4096   the top
//   ...
//   level 0                 the leaves, to the end
namespace sphere::image {

class MerkleLevels;  // Private: one open hash block for each level.

using MerkleSalt = crypto::LeafSalt;
using MerkleHash = crypto::Sha256Digest;

inline constexpr std::size_t kMerkleBlockSize = crypto::kLeafBlockSize;
inline constexpr std::size_t kHashesPerBlock = 128;

// How many blocks a tree has and where they lie.
class MerkleShape {
 public:
  // Errors: invalid_argument for 0 data blocks, too_large above 2^32 - 1 (the field of section mt).
  [[nodiscard]] static Result<MerkleShape> of(std::uint64_t data_blocks);

  [[nodiscard]] std::uint64_t data_blocks() const noexcept { return data_blocks_; }
  [[nodiscard]] std::size_t levels() const noexcept { return level_blocks_.size(); }
  [[nodiscard]] std::uint64_t level_blocks(std::size_t level) const { return level_blocks_[level]; }
  // Of all levels, without the superblock's.
  [[nodiscard]] std::uint64_t tree_blocks() const noexcept;
  [[nodiscard]] std::uint64_t hash_area_size() const noexcept;
  // Where a hash block lies in the hash area, in bytes.
  [[nodiscard]] std::uint64_t offset(std::size_t level, std::uint64_t index) const;

 private:
  std::uint64_t data_blocks_ = 0;
  std::vector<std::uint64_t> level_blocks_;  // [0] holds the leaves.
};

// The one salt of a component: SHA-256("sphere verity salt" | NUL | component id as stored). Equal
// blocks have equal leaves from one version of a component to the next.
[[nodiscard]] MerkleSalt merkle_salt(const Guid& component);

// What a signed package says about its tree.
struct MerkleTree {
  MerkleShape shape;
  MerkleSalt salt = {};
  MerkleHash root = {};
};

// Takes the finished hash blocks, each once, in no fixed order. With a thread pool several threads
// call at once, for different blocks.
class MerkleSink {
 public:
  MerkleSink() = default;
  MerkleSink(const MerkleSink&) = delete;
  MerkleSink& operator=(const MerkleSink&) = delete;
  MerkleSink(MerkleSink&&) = delete;
  MerkleSink& operator=(MerkleSink&&) = delete;
  virtual ~MerkleSink() = default;
  [[nodiscard]] virtual Result<void> write(std::size_t level, std::uint64_t index,
                                           std::span<const std::byte> block) = 0;
};

// A whole hash area in memory; its superblock is left zero. For bodies of a known, moderate size:
// it takes 1/127 of the body.
class MemoryHashArea final : public MerkleSink {
 public:
  explicit MemoryHashArea(MerkleShape shape);
  [[nodiscard]] Result<void> write(std::size_t level, std::uint64_t index,
                                   std::span<const std::byte> block) override;
  [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }
  [[nodiscard]] std::span<std::byte> bytes() { return bytes_; }

 private:
  MerkleShape shape_;
  std::vector<std::byte> bytes_;
};

// A hash area in a file that is open for writing, from `start` on; the superblock is not written.
class FileHashArea final : public MerkleSink {
 public:
  FileHashArea(MerkleShape shape, int descriptor, std::uint64_t start);
  // Errors: no_space, io.
  [[nodiscard]] Result<void> write(std::size_t level, std::uint64_t index,
                                   std::span<const std::byte> block) override;

 private:
  MerkleShape shape_;
  int descriptor_;
  std::uint64_t start_;
};

// NOLINTBEGIN(cppcoreguidelines-avoid-const-or-ref-data-members): arguments of one call, not kept.

// What building a tree takes. The references must outlive the call.
struct MerkleBuild {
  const crypto::HashEngine& engine;
  ThreadPool& pool;
  MerkleShape shape;
  MerkleSalt salt = {};
  MerkleSink* sink = nullptr;  // Null: only the root hash is wanted.
  // Asks for the first 512 KiB of the body last, after all the rest has been read: an ASXipFS
  // superblock holds a CRC of the whole body. For bodies of up to 512 MiB; above, too_large.
  bool first_run_last = false;
};

// Reads the body once, each byte in one read of up to 256 KiB, and returns the root hash. Below
// 2 MiB no thread is started. Memory: 256 KiB for each thread and less than 64 KiB besides,
// whatever the size.
//
// A packer's `body` may write what it reads to its place in the output: then packing is one pass.
//
// Errors: those of `body`, of `sink`; the one at the lowest place is reported.
[[nodiscard]] Result<MerkleHash> build_merkle_tree(const MerkleBuild& build,
                                                   const BlockSource& body);

// Where the leaves of a body come from when they are not all hashed from one BlockSource: a packer
// that writes, compresses or knows part of them already. Several threads call at once, for
// different blocks, each with its own `worker` below the size of the pool; runs are begun in rising
// order but for what MerkleBuild::first_run_last says.
class LeafSource {
 public:
  LeafSource() = default;
  LeafSource(const LeafSource&) = delete;
  LeafSource& operator=(const LeafSource&) = delete;
  LeafSource(LeafSource&&) = delete;
  LeafSource& operator=(LeafSource&&) = delete;
  virtual ~LeafSource() = default;
  // Fills the leaves of the data blocks from `first` on, 1 to 64 of them; `first` is a multiple of
  // 64.
  [[nodiscard]] virtual Result<void> fill(std::uint64_t first, std::span<MerkleHash> leaves,
                                          std::size_t worker) = 0;
};
[[nodiscard]] Result<MerkleHash> build_merkle_tree(const MerkleBuild& build, LeafSource& leaves);

// The same for a body that comes as a stream of unknown length: one open hash block for each level.
// update() any number of times, then finish() once; anything else is a bug.
class MerkleStream {
 public:
  // Both pointees must outlive this. No `sink`: only the root hash is wanted.
  MerkleStream(const crypto::HashEngine& engine, const MerkleSalt& salt,
               MerkleSink* sink = nullptr);

  // Takes the next bytes, however many. Errors: those of the sink.
  [[nodiscard]] Result<void> update(std::span<const std::byte> bytes);
  // Adds the hash of the next data block, computed elsewhere (another thread, a cache). Not while
  // a block is half given by update().
  [[nodiscard]] Result<void> add_leaf(const MerkleHash& leaf);
  // Returns the root hash. Errors: those of the sink; corrupt unless a positive multiple of 4096
  // bytes came.
  [[nodiscard]] Result<MerkleHash> finish();

  MerkleStream(MerkleStream&& other) noexcept;
  MerkleStream& operator=(MerkleStream&& other) noexcept;
  MerkleStream(const MerkleStream&) = delete;
  MerkleStream& operator=(const MerkleStream&) = delete;
  ~MerkleStream();

 private:
  Result<void> add_whole_blocks(std::span<const std::byte> blocks);

  const crypto::HashEngine* engine_;
  MerkleSalt salt_;
  std::unique_ptr<MerkleLevels> levels_;
  std::vector<std::byte> partial_;  // The data block that update() is in the middle of.
};

// Proves blocks against a root hash that is trusted already. A byte may be used only after verify()
// has returned success for its block.
//
// Keeps one proven hash block for each level: memory does not grow with the image, and blocks in
// rising order read each hash block once. For one thread; others have their own.
class MerkleVerifier {
 public:
  // `hash_area` is read at the offsets of the drawing above. All three must outlive this.
  MerkleVerifier(const crypto::HashEngine& engine, const MerkleTree& tree,
                 const BlockSource& hash_area);

  // Proves that `blocks` (a multiple of 4096 bytes) are the data blocks from `first` on.
  //
  // Errors: unverified, which names the first data or hash block that does not match;
  // corrupt for a hash block whose rest is not zero; invalid_argument for blocks outside the body
  // or parts of one; those of `hash_area`.
  [[nodiscard]] Result<void> verify(std::uint64_t first, std::span<const std::byte> blocks);

 private:
  struct Proven {
    std::uint64_t index = UINT64_MAX;  // Which block of the level; none at first.
    std::array<MerkleHash, kHashesPerBlock> hashes = {};
  };
  Result<void> prove(std::size_t level, std::uint64_t index, const MerkleHash& expected);
  Result<std::span<const MerkleHash>> prove_leaves(std::uint64_t group);
  Result<void> verify_run(std::uint64_t first, std::span<const std::byte> blocks);

  const crypto::HashEngine* engine_;
  const MerkleTree* tree_;
  const BlockSource* hash_area_;
  std::vector<Proven> proven_;  // One a level.
};

// What verifying a whole body takes. The references must outlive the call.
struct MerkleCheck {
  const crypto::HashEngine& engine;
  ThreadPool& pool;
  const MerkleTree& tree;
  const BlockSource& hash_area;
  // Gets each run of blocks, of up to 256 KiB, once it is proven; `offset` is its place in the
  // body. Several threads call at once, for different runs. An error ends the check.
  std::function<Result<void>(std::uint64_t offset, std::span<const std::byte> run)> use = {};
};

// NOLINTEND(cppcoreguidelines-avoid-const-or-ref-data-members)

// Proves every block of the body; below 2 MiB no thread is started. Memory: 256 KiB for each
// thread, whatever the size. Errors: as MerkleVerifier::verify(), those of `body` and of `use`; the
// one at the lowest place is reported.
[[nodiscard]] Result<void> verify_merkle_tree(const MerkleCheck& check, const BlockSource& body);

// dm-verity's superblock (cryptsetup's on-disk format 1), integers little-endian:
//
//   offset size
//   0      8    "verity", two NULs
//   8      4    version 1
//   12     4    hash type 1: the salt goes before the data
//   16     16   UUID: the image id in RFC 4122 byte order
//   32     32   "sha256", NULs
//   64     4    data block size 4096
//   68     4    hash block size 4096
//   72     8    data blocks
//   80     2    salt length 32; 6 zero bytes
//   88     256  salt, NULs; 168 zero bytes
//
// The root hash is not in it. In the hash area 3584 zero bytes follow.
inline constexpr std::size_t kVeritySuperblockSize = 512;
using VeritySuperblock = std::array<std::byte, kVeritySuperblockSize>;

[[nodiscard]] VeritySuperblock verity_superblock(const MerkleTree& tree, const Guid& image);

// Compares the first block of a hash area with what the signed tree and image id ask for.
// Error corrupt, which names field and offset, for the first difference.
[[nodiscard]] Result<void> check_verity_superblock(
    std::span<const std::byte, kMerkleBlockSize> block, const MerkleTree& tree, const Guid& image);

}  // namespace sphere::image
