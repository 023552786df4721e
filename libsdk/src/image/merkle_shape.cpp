// SPDX-License-Identifier: MIT
// Where a tree's blocks lie, its salt, and the places that take them.
#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <unistd.h>
#include <utility>

#include <tl/expected.hpp>

#include "sphere/core/bytes.h"
#include "sphere/core/file.h"
#include "sphere/core/guid.h"
#include "sphere/core/result.h"
#include "sphere/crypto/digest.h"
#include "sphere/image/merkle.h"

namespace sphere::image {

Result<MerkleShape> MerkleShape::of(std::uint64_t data_blocks) {
  if (data_blocks == 0) {
    return fail(Errc::invalid_argument, "a hash tree needs at least one block of data");
  }
  if (data_blocks > UINT32_MAX) {
    return fail(Errc::too_large, "a hash tree spans at most 4294967295 blocks",
                {.reason = "package.too-large", .value = std::to_string(data_blocks)});
  }
  MerkleShape shape;
  shape.data_blocks_ = data_blocks;
  for (std::uint64_t blocks = data_blocks; blocks > 1;) {
    blocks = (blocks + kHashesPerBlock - 1) / kHashesPerBlock;
    shape.level_blocks_.push_back(blocks);
  }
  return shape;
}

std::uint64_t MerkleShape::tree_blocks() const noexcept {
  return std::accumulate(level_blocks_.begin(), level_blocks_.end(), std::uint64_t{0});
}

std::uint64_t MerkleShape::hash_area_size() const noexcept {
  return (1 + tree_blocks()) * kMerkleBlockSize;
}

std::uint64_t MerkleShape::offset(std::size_t level, std::uint64_t index) const {
  std::uint64_t block = 1 + index;  // Behind the superblock and the levels above.
  for (std::size_t above = level + 1; above < level_blocks_.size(); ++above) {
    block += level_blocks_[above];
  }
  return block * kMerkleBlockSize;
}

MerkleSalt merkle_salt(const Guid& component) {
  constexpr std::string_view kLabel{"sphere verity salt\0", 19};  // With the NUL.
  return crypto::Sha256{}
      .update(std::as_bytes(std::span{kLabel}))
      .update(component.stored())
      .finish();
}

MemoryHashArea::MemoryHashArea(MerkleShape shape)
    : shape_{std::move(shape)}, bytes_(static_cast<std::size_t>(shape_.hash_area_size())) {}

Result<void> MemoryHashArea::write(std::size_t level, std::uint64_t index,
                                   std::span<const std::byte> block) {
  const auto offset = static_cast<std::size_t>(shape_.offset(level, index));
  copy_bytes(block, std::span{bytes_}.subspan(offset));
  return {};
}

FileHashArea::FileHashArea(MerkleShape shape, int descriptor, std::uint64_t start)
    : shape_{std::move(shape)}, descriptor_{descriptor}, start_{start} {}

Result<void> FileHashArea::write(std::size_t level, std::uint64_t index,
                                 std::span<const std::byte> block) {
  std::uint64_t position = start_ + shape_.offset(level, index);
  while (!block.empty()) {
    const ssize_t count =
        ::pwrite(descriptor_, block.data(), block.size(), static_cast<off_t>(position));
    if (count < 0 && errno != EINTR) {
      return tl::make_unexpected(system_error("write", "hash tree", errno));
    }
    const auto done = count > 0 ? static_cast<std::size_t>(count) : 0;
    block = block.subspan(done);
    position += done;
  }
  return {};
}

}  // namespace sphere::image
