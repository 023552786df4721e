// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "sphere/core/guid.h"
#include "sphere/core/result.h"
#include "sphere/crypto/block_hash.h"
#include "sphere/image/merkle.h"
#include "sphere/image/package.h"
#include "sphere/image/sections_v2.h"
#include "sphere/image/trust.h"

namespace sphere::image {

// A package v2 that arrives by ranges into a file, as a download with HTTP Range does: the last
// 4096 bytes first, then the rest of the metadata and the hash area, then the body. A byte is
// stored only after it was proven: the metadata by its signature, a hash block by the one above, a
// block of the body by its leaf, a compressed chunk by its hash. After a cut, of the connection or
// of the power, a new receiver on the same file proves what it finds there and asks for the rest;
// no other state is kept, and nothing that the file says is believed.
//
//   while (const auto range = receiver.wanted()) {
//     // Fetch it; for each piece: receiver.take(piece).
//   }
//   receiver.finish()
//
// Memory: 256 KiB, and one bit for each block.
class PackageReceiver {
 public:
  struct Range {
    std::uint64_t offset = 0;
    std::uint64_t size = 0;  // At most 256 KiB.
  };
  // Where the package goes: open for reading and writing, empty or what an earlier receiver left.
  struct Target {
    int descriptor = -1;
    std::filesystem::path name = {};  // For errors.
    std::uint64_t package_bytes = 0;  // Size of the whole package, as the sender says.
  };

  // `trust` and `engine` must outlive this. Errors: too_large, invalid_argument (no package is so
  // small), as system_error().
  [[nodiscard]] static Result<PackageReceiver> open(const Target& target, const TrustStore& trust,
                                                    const crypto::HashEngine& engine);

  // What to fetch next; nothing when all is there.
  [[nodiscard]] std::optional<Range> wanted() const;

  // Takes the next bytes of wanted(), in their order, as many as have come. What is complete is
  // proven and stored; wanted() then gives the rest. After an error the bytes that were not proven
  // are dropped.
  //
  // Errors: unverified, corrupt, unsupported for bytes that are not those that were signed;
  // invalid_argument for more than was wanted; as system_error().
  [[nodiscard]] Result<void> take(std::span<const std::byte> bytes);

  // The connection was cut: forgets the part of a block that has come.
  void drop_partial() { partial_.clear(); }

  // Bytes of the body area that are proven and stored.
  [[nodiscard]] std::uint64_t proven_body_bytes() const;

  // When nothing is wanted: the package. Errors: as verify().
  [[nodiscard]] Result<Verified<Package>> finish() const;

  PackageReceiver(PackageReceiver&&) noexcept;
  PackageReceiver& operator=(PackageReceiver&&) = delete;
  PackageReceiver(const PackageReceiver&) = delete;
  PackageReceiver& operator=(const PackageReceiver&) = delete;
  ~PackageReceiver();

 private:
  struct Unit {  // What is proven at once: a block or a chunk.
    std::uint64_t offset = 0;
    std::uint64_t size = 0;
  };
  // What is proven and stored. `missing` is the first that is not.
  struct Proven {
    std::vector<bool> good = {};
    std::size_t missing = 0;
    void set(std::size_t index);
    [[nodiscard]] bool is_complete() const { return missing == good.size(); }
  };
  PackageReceiver(const Target& target, const TrustStore& trust, const crypto::HashEngine& engine);

  [[nodiscard]] Result<void> resume();
  [[nodiscard]] Result<bool> take_unit();
  [[nodiscard]] Result<bool> take_tail();
  [[nodiscard]] Result<void> open_tail();
  [[nodiscard]] Result<void> check_head(std::span<const std::byte> superblock);
  [[nodiscard]] Result<void> prove_hash_block(std::uint64_t index,
                                              std::span<const std::byte> block) const;
  [[nodiscard]] Result<void> prove_body_unit(std::size_t index, std::span<const std::byte> bytes);
  [[nodiscard]] Unit body_unit(std::size_t index) const;
  [[nodiscard]] bool has_chunks() const { return !chunks_.empty(); }
  [[nodiscard]] std::size_t body_units() const;
  [[nodiscard]] Range tail_range() const;
  template <typename UnitOf>
  [[nodiscard]] static Range missing_range(const Proven& proven, const UnitOf& unit_of);
  [[nodiscard]] Result<void> take_head();
  [[nodiscard]] Result<void> take_hash_block();
  [[nodiscard]] Result<bool> take_body_unit();
  [[nodiscard]] Result<void> store_front(std::uint64_t offset, std::uint64_t size);
  void forget_tail();
  Target target_;
  const TrustStore* trust_;
  const crypto::HashEngine* engine_;
  std::shared_ptr<const BlockSource> stored_;
  std::uint64_t tail_begin_;     // From here on the end of the file is wanted or there.
  std::vector<std::byte> tail_;  // What has come of it.
  bool has_tail_ = false;
  Package package_ = {};            // The container, once the tail is there.
  std::vector<ChunkEntry> chunks_;  // Of the compressed form.
  bool head_is_good_ = false;       // Signature and superblock.
  Proven hashes_;                   // Of the hash area without the superblock.
  Proven body_;
  std::unique_ptr<MerkleVerifier> verifier_;
  std::shared_ptr<const BlockSource> hash_area_;
  std::vector<std::byte> partial_;  // The unit that is arriving.
};

// A body that arrives as a plain stream whose component and size are known: hashes each block as it
// comes, with one open hash block for each level. Its bytes must not be used before finish() has
// succeeded.
class StreamVerifier {
 public:
  // The engine must outlive this.
  StreamVerifier(const crypto::HashEngine& engine, const Guid& component, std::uint64_t body_size)
      : stream_{engine, merkle_salt(component)}, left_{body_size} {}

  // Takes the next bytes of the package; those behind the body are not looked at.
  [[nodiscard]] Result<void> update(std::span<const std::byte> bytes);
  // Compares the root hash with that of a package whose signature has been verified. Errors:
  // unverified; corrupt when the stream ended within the body.
  [[nodiscard]] Result<void> finish(const MerkleTree& trusted);

 private:
  MerkleStream stream_;
  std::uint64_t left_;  // Bytes of the body that have not come.
};

}  // namespace sphere::image
