// SPDX-License-Identifier: MIT
#include "libsdk/src/image/compressed_sink.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <numeric>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "libsdk/src/image/body_sink.h"
#include "sphere/core/result.h"
#include "sphere/crypto/digest.h"
#include "sphere/image/compression.h"
#include "sphere/image/merkle.h"
#include "sphere/image/sections_v2.h"

namespace sphere::image {
namespace {

constexpr std::size_t kGroupRuns = 2;  // A group of the tree, which may come last, is two runs.

// Moves `size` bytes from `from` down to `to`.
Result<void> move_down(const OutputFile& file, std::uint64_t from, std::uint64_t to,
                       std::uint64_t size) {
  std::vector<std::byte> buffer(kChunkSize);
  for (std::uint64_t done = 0; done < size;) {
    const auto piece = std::span{buffer}.first(
        static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), size - done)));
    SPHERE_TRY(read_at(file, from + done, piece));
    SPHERE_TRY(write_at(file, to + done, piece));
    done += piece.size();
  }
  return {};
}

}  // namespace

CompressedSink::CompressedSink(OutputFile file, const CompressedSinkOptions& options)
    : file_{std::move(file)}, options_{options}, encoders_(options.workers) {
  table_.chunks.resize(static_cast<std::size_t>((options.body_size + kChunkSize - 1) / kChunkSize));
  if (options.first_group_last) {
    deferred_ = std::min(kGroupRuns, table_.chunks.size());
    gate_.advance(deferred_);
    next_ = std::uint64_t{deferred_} * kChunkSize;  // The most that they can need.
  }
}

Result<void> CompressedSink::store(std::uint64_t offset, std::span<const std::byte> run,
                                   std::size_t worker) {
  const auto index = static_cast<std::size_t>(offset / kChunkSize);
  auto& encoder = encoders_[worker];
  if (!encoder) {
    encoder = std::make_unique<ZstdEncoder>();
  }
  auto stored = encoder->encode(run);
  auto& entry = table_.chunks[index];
  entry.compressed = stored.size() < run.size();
  if (!entry.compressed) {
    stored = run;
  }
  entry.stored_length = static_cast<std::uint32_t>(stored.size());
  entry.digest = crypto::sha256(stored);
  if (index < deferred_) {
    std::span{front_}[index].assign(stored.begin(), stored.end());
    return {};
  }
  if (!gate_.wait(index)) {
    return sphere::fail(Errc::cancelled, "an earlier part of the body could not be packed");
  }
  const auto place = std::exchange(next_, next_ + stored.size());
  gate_.advance(index + 1);
  return write_at(file_, place, stored);
}

void CompressedSink::fail(std::uint64_t offset) { gate_.fail(offset / kChunkSize); }

std::uint64_t CompressedSink::stored_bytes() const {
  return std::accumulate(
      table_.chunks.begin(), table_.chunks.end(), std::uint64_t{0},
      [](std::uint64_t sum, const ChunkEntry& entry) { return sum + entry.stored_length; });
}

// Writes the chunks that came last and closes the gap behind them.
Result<void> CompressedSink::store_front() {
  if (deferred_ == 0) {
    return {};
  }
  std::uint64_t at = 0;
  for (std::size_t i = 0; i < deferred_; ++i) {
    const auto& chunk = std::span{front_}[i];
    SPHERE_TRY(write_at(file_, at, chunk));
    at += chunk.size();
  }
  const auto begin = std::uint64_t{deferred_} * kChunkSize;
  return at == begin ? Result<void>{} : move_down(file_, begin, at, next_ - begin);
}

Result<std::optional<ChunkTable>> CompressedSink::finish() {
  SPHERE_TRY(store_front());
  const auto size = stored_bytes();
  const auto padded = (size + kMerkleBlockSize - 1) / kMerkleBlockSize * kMerkleBlockSize;
  if (padded >= options_.body_size) {
    SPHERE_TRY(expand_in_place(file_, table_, options_.body_size));
    return std::nullopt;
  }
  SPHERE_TRY(set_size(file_, size));    // Nothing of what was moved stays behind the chunks.
  SPHERE_TRY(set_size(file_, padded));  // The rest reads as zeros.
  return std::optional{std::move(table_)};
}

namespace {

// Expands one chunk at a time.
class Expander {
 public:
  Expander(const OutputFile& file, const ChunkTable& table, std::uint64_t body_size)
      : file_{&file},
        table_{&table},
        body_size_{body_size},
        stored_(table.chunk_size),
        chunk_(table.chunk_size) {}

  // Chunk `index`, which is stored at `place`.
  Result<void> expand(std::size_t index, std::uint64_t place) {
    const auto& entry = table_->chunks[index];
    const auto offset = std::uint64_t{index} * table_->chunk_size;
    const auto frame = std::span{stored_}.first(entry.stored_length);
    SPHERE_TRY(read_at(*file_, place, frame));
    if (!entry.compressed) {
      return write_at(*file_, offset, frame);
    }
    const auto body = std::span{chunk_}.first(
        static_cast<std::size_t>(std::min<std::uint64_t>(table_->chunk_size, body_size_ - offset)));
    SPHERE_TRY(decoder_.decode(frame, body));
    return write_at(*file_, offset, body);
  }

 private:
  const OutputFile* file_;
  const ChunkTable* table_;
  std::uint64_t body_size_;
  ZstdDecoder decoder_;
  std::vector<std::byte> stored_;
  std::vector<std::byte> chunk_;
};

}  // namespace

// From the last chunk to the first: a chunk's body begins at or behind the chunk, so that nothing
// is overwritten that is still needed.
Result<void> expand_in_place(const OutputFile& file, const ChunkTable& table,
                             std::uint64_t body_size) {
  std::uint64_t place = 0;
  for (const auto& entry : table.chunks) {
    place += entry.stored_length;
  }
  Expander expander{file, table, body_size};
  for (std::size_t i = table.chunks.size(); i-- > 0;) {
    place -= table.chunks[i].stored_length;
    SPHERE_TRY(expander.expand(i, place));
  }
  return {};
}

}  // namespace sphere::image
