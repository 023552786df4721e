// SPDX-License-Identifier: MIT
#include "libsdk/src/image/body_source.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "libsdk/src/image/failure.h"
#include "libsdk/src/image/merkle_levels.h"
#include "sphere/core/bytes.h"
#include "sphere/core/result.h"
#include "sphere/crypto/block_hash.h"
#include "sphere/crypto/digest.h"
#include "sphere/image/block_io.h"
#include "sphere/image/compression.h"
#include "sphere/image/merkle.h"
#include "sphere/image/metadata.h"
#include "sphere/image/package_v2.h"
#include "sphere/image/sections_v2.h"

namespace sphere::image {
namespace {

constexpr std::size_t kRun = kRunBlocks * kMerkleBlockSize;

Result<void> check_range(std::uint64_t offset, std::size_t size, std::uint64_t body_size) {
  if (offset > body_size || size > body_size - offset) {
    return corrupt("body", static_cast<std::size_t>(offset),
                   fmt::format("{} bytes from here end behind the body of {}", size, body_size));
  }
  return {};
}

}  // namespace

ChunkedBody::ChunkedBody(std::shared_ptr<const BlockSource> file, ChunkTable table,
                         std::uint64_t body_size)
    : file_{std::move(file)}, table_{std::move(table)}, body_size_{body_size} {
  std::uint64_t place = 0;
  for (const auto& chunk : table_.chunks) {
    places_.push_back(place);
    place += chunk.stored_length;
  }
}

std::unique_ptr<ChunkedBody::Scratch> ChunkedBody::take_scratch() const {
  const std::lock_guard lock{mutex_};
  if (spare_.empty()) {
    return std::make_unique<Scratch>();
  }
  auto scratch = std::move(spare_.back());
  spare_.pop_back();
  return scratch;
}

void ChunkedBody::give_back(std::unique_ptr<Scratch> scratch) const {
  const std::lock_guard lock{mutex_};
  spare_.push_back(std::move(scratch));
}

std::size_t ChunkedBody::size_of(std::size_t index) const {
  return static_cast<std::size_t>(std::min<std::uint64_t>(
      table_.chunk_size, body_size_ - (std::uint64_t{index} * table_.chunk_size)));
}

Result<void> ChunkedBody::read_chunk(std::size_t index, Scratch& scratch,
                                     std::span<std::byte> body) const {
  const auto& entry = table_.chunks[index];
  scratch.stored.resize(entry.stored_length);
  SPHERE_TRY_ASSIGN(const auto stored, file_->read(places_[index], scratch.stored));
  if (crypto::sha256(stored) != entry.digest) {
    return fail(Errc::unverified, fmt::format("chunk {} does not match the signed metadata", index),
                {.reason = "package.untrusted",
                 .value = fmt::format("offset {}", places_[index]),
                 .next = "get the package again"});
  }
  if (!entry.compressed) {
    copy_bytes(stored, body);
    return {};
  }
  return scratch.decoder.decode(stored, body);
}

// The bytes of chunk `index` from `skipped` on.
Result<void> ChunkedBody::read_part(std::size_t index, std::size_t skipped, Scratch& scratch,
                                    std::span<std::byte> part) const {
  const auto size = size_of(index);
  if (part.size() == size) {
    return read_chunk(index, scratch, part);
  }
  scratch.body.resize(size);
  SPHERE_TRY(read_chunk(index, scratch, scratch.body));
  copy_bytes(std::span{scratch.body}.subspan(skipped, part.size()), part);
  return {};
}

Result<std::span<const std::byte>> ChunkedBody::read(std::uint64_t offset,
                                                     std::span<std::byte> buffer) const {
  SPHERE_TRY(check_range(offset, buffer.size(), body_size_));
  auto scratch = take_scratch();
  for (std::size_t done = 0; done < buffer.size();) {
    const auto index = static_cast<std::size_t>((offset + done) / table_.chunk_size);
    const auto skipped = static_cast<std::size_t>((offset + done) % table_.chunk_size);
    const auto part =
        buffer.subspan(done, std::min(buffer.size() - done, size_of(index) - skipped));
    SPHERE_TRY(read_part(index, skipped, *scratch, part));
    done += part.size();
  }
  give_back(std::move(scratch));
  return buffer;
}

ProvenBody::ProvenBody(std::shared_ptr<const crypto::HashEngine> engine,
                       std::shared_ptr<const LayoutV2> layout,
                       std::shared_ptr<const BlockSource> body,
                       std::shared_ptr<const BlockSource> hash_area)
    : engine_{std::move(engine)},
      layout_{std::move(layout)},
      body_{std::move(body)},
      hash_area_{std::move(hash_area)},
      verifier_{*engine_, layout_->tree, *hash_area_} {}

Result<std::span<const std::byte>> ProvenBody::read(std::uint64_t offset,
                                                    std::span<std::byte> buffer) const {
  const auto body_size = layout_->tree.shape.data_blocks() * kMerkleBlockSize;
  SPHERE_TRY(check_range(offset, buffer.size(), body_size));
  const std::lock_guard lock{mutex_};
  buffer_.resize(kRun);
  for (std::size_t done = 0; done < buffer.size();) {
    const auto skipped = static_cast<std::size_t>((offset + done) % kMerkleBlockSize);
    const auto begin = offset + done - skipped;
    // Up to the end of the run, so that a compressed chunk is decoded once.
    const auto most = std::min<std::uint64_t>(kRun - (begin % kRun), body_size - begin);
    const auto wanted = std::min<std::uint64_t>(most, skipped + (buffer.size() - done));
    const auto blocks = (wanted + kMerkleBlockSize - 1) / kMerkleBlockSize * kMerkleBlockSize;
    SPHERE_TRY_ASSIGN(
        const auto bytes,
        body_->read(begin, std::span{buffer_}.first(static_cast<std::size_t>(blocks))));
    SPHERE_TRY(verifier_.verify(begin / kMerkleBlockSize, bytes));
    const auto part = bytes.subspan(skipped, static_cast<std::size_t>(wanted) - skipped);
    copy_bytes(part, buffer.subspan(done));
    done += part.size();
  }
  return buffer;
}

std::shared_ptr<const BlockSource> stored_body(const std::shared_ptr<const BlockSource>& file,
                                               const Metadata& metadata, const LayoutV2& layout) {
  if (layout.expanded || !metadata.v2.chunks || !metadata.v2.content) {
    return file;
  }
  return std::make_shared<ChunkedBody>(file, *metadata.v2.chunks, metadata.v2.content->body_size);
}

}  // namespace sphere::image
