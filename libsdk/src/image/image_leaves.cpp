// SPDX-License-Identifier: MIT
#include "libsdk/src/image/image_leaves.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "libsdk/src/image/merkle_levels.h"
#include "sphere/core/bytes.h"
#include "sphere/core/result.h"
#include "sphere/image/merkle.h"

namespace sphere::image {

Result<void> ImageLeaves::fill(std::uint64_t first, std::span<MerkleHash> leaves,
                               std::size_t worker) {
  auto result = fill_run(first, leaves, worker);
  if (!result && input_.sink != nullptr) {
    input_.sink->fail(first * kMerkleBlockSize);
  }
  return result;
}

Result<void> ImageLeaves::fill_run(std::uint64_t first, std::span<MerkleHash> leaves,
                                   std::size_t worker) {
  auto& buffer = buffers_[worker];
  buffer.resize(kRunBlocks * kMerkleBlockSize);
  const auto offset = first * kMerkleBlockSize;
  const auto wanted = std::span{buffer}.first(leaves.size() * kMerkleBlockSize);
  SPHERE_TRY_ASSIGN(const auto run, read_run(offset, wanted));
  input_.engine->hash_leaves(input_.salt, run, leaves);
  return input_.sink == nullptr ? Result<void>{} : input_.sink->store(offset, run, worker);
}

// The bytes from `offset` on; behind the end of the image zeros.
Result<std::span<const std::byte>> ImageLeaves::read_run(std::uint64_t offset,
                                                         std::span<std::byte> buffer) const {
  const auto there =
      static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), input_.size - offset));
  SPHERE_TRY_ASSIGN(const auto bytes, input_.source->read(offset, buffer.first(there)));
  if (there == buffer.size()) {
    return bytes;
  }
  if (bytes.data() != buffer.data()) {
    copy_bytes(bytes, buffer);
  }
  std::ranges::fill(buffer.subspan(there), std::byte{0});
  return buffer;
}

}  // namespace sphere::image
