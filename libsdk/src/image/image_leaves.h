// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "libsdk/src/image/body_sink.h"
#include "sphere/core/result.h"
#include "sphere/crypto/block_hash.h"
#include "sphere/image/block_io.h"
#include "sphere/image/merkle.h"

namespace sphere::image {

struct ImageInput {
  const BlockSource* source = nullptr;
  std::uint64_t size = 0;
  const crypto::HashEngine* engine = nullptr;
  MerkleSalt salt = {};
  BodySink* sink = nullptr;  // Null: only hashed.
  std::size_t workers = 1;
};

// The leaves of a body that is one run of bytes, padded with zeros; it is read once.
class ImageLeaves final : public LeafSource {
 public:
  // The pointees must outlive this.
  explicit ImageLeaves(const ImageInput& input) : input_{input}, buffers_(input.workers) {}
  [[nodiscard]] Result<void> fill(std::uint64_t first, std::span<MerkleHash> leaves,
                                  std::size_t worker) override;

 private:
  [[nodiscard]] Result<std::span<const std::byte>> read_run(std::uint64_t offset,
                                                            std::span<std::byte> buffer) const;
  [[nodiscard]] Result<void> fill_run(std::uint64_t first, std::span<MerkleHash> leaves,
                                      std::size_t worker);

  ImageInput input_;
  std::vector<std::vector<std::byte>> buffers_;  // One a worker.
};

}  // namespace sphere::image
