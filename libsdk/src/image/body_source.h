// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "sphere/core/result.h"
#include "sphere/crypto/block_hash.h"
#include "sphere/image/block_io.h"
#include "sphere/image/compression.h"
#include "sphere/image/merkle.h"
#include "sphere/image/package_v2.h"
#include "sphere/image/sections_v2.h"

namespace sphere::image {

// Another source from `start` on.
class OffsetBlocks final : public BlockSource {
 public:
  OffsetBlocks(std::shared_ptr<const BlockSource> source, std::uint64_t start)
      : source_{std::move(source)}, start_{start} {}
  [[nodiscard]] Result<std::span<const std::byte>> read(
      std::uint64_t offset, std::span<std::byte> buffer) const override {
    return source_->read(start_ + offset, buffer);
  }
  [[nodiscard]] Result<void> check_unchanged() const override { return source_->check_unchanged(); }

 private:
  std::shared_ptr<const BlockSource> source_;
  std::uint64_t start_;
};

// The body of a package v2 that is stored in chunks. The hash of a chunk is compared before it is
// decoded. Several threads may read at once.
class ChunkedBody final : public BlockSource {
 public:
  ChunkedBody(std::shared_ptr<const BlockSource> file, ChunkTable table, std::uint64_t body_size);

  // Errors: unverified for a chunk that is not the one of the table; corrupt when it does not
  // decode to its size, or for bytes outside the body; those of the file.
  [[nodiscard]] Result<std::span<const std::byte>> read(std::uint64_t offset,
                                                        std::span<std::byte> buffer) const override;
  [[nodiscard]] Result<void> check_unchanged() const override { return file_->check_unchanged(); }

 private:
  struct Scratch {  // What decoding takes; kept for the next read.
    ZstdDecoder decoder;
    std::vector<std::byte> stored;
    std::vector<std::byte> body;
  };
  [[nodiscard]] std::unique_ptr<Scratch> take_scratch() const;
  void give_back(std::unique_ptr<Scratch> scratch) const;
  [[nodiscard]] std::size_t size_of(std::size_t index) const;
  [[nodiscard]] Result<void> read_chunk(std::size_t index, Scratch& scratch,
                                        std::span<std::byte> body) const;

  [[nodiscard]] Result<void> read_part(std::size_t index, std::size_t skipped, Scratch& scratch,
                                       std::span<std::byte> part) const;

  std::shared_ptr<const BlockSource> file_;
  ChunkTable table_;
  std::vector<std::uint64_t> places_;  // In the file.
  std::uint64_t body_size_;
  mutable std::mutex mutex_;  // For the next.
  mutable std::vector<std::unique_ptr<Scratch>> spare_;
};

// A body whose blocks are proven against the root hash before they are given out. Several threads
// may read, one at a time.
class ProvenBody final : public BlockSource {
 public:
  ProvenBody(std::shared_ptr<const crypto::HashEngine> engine,
             std::shared_ptr<const LayoutV2> layout, std::shared_ptr<const BlockSource> body,
             std::shared_ptr<const BlockSource> hash_area);

  // Errors: those of MerkleVerifier::verify(); corrupt for bytes outside the body; those of both
  // sources.
  [[nodiscard]] Result<std::span<const std::byte>> read(std::uint64_t offset,
                                                        std::span<std::byte> buffer) const override;
  [[nodiscard]] Result<void> check_unchanged() const override { return body_->check_unchanged(); }

 private:
  std::shared_ptr<const crypto::HashEngine> engine_;
  std::shared_ptr<const LayoutV2> layout_;
  std::shared_ptr<const BlockSource> body_;
  std::shared_ptr<const BlockSource> hash_area_;
  mutable std::mutex mutex_;  // For the two below.
  mutable MerkleVerifier verifier_;
  mutable std::vector<std::byte> buffer_;
};

// The stored body of a package: of the expanded form the file, else its chunks.
[[nodiscard]] std::shared_ptr<const BlockSource> stored_body(
    const std::shared_ptr<const BlockSource>& file, const Metadata& metadata,
    const LayoutV2& layout);

}  // namespace sphere::image
