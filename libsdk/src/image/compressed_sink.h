// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "libsdk/src/image/body_sink.h"
#include "libsdk/src/image/turnstile.h"
#include "sphere/core/result.h"
#include "sphere/image/compression.h"
#include "sphere/image/sections_v2.h"

namespace sphere::image {

struct CompressedSinkOptions {
  std::uint64_t body_size = 0;
  std::size_t workers = 1;
  bool first_group_last = false;  // The first two runs come when all others have been stored.
};

// Stores the body as chunks, one for each run of 256 KiB: compressed on all cores, then put behind
// each other in their order. A run that waits for its turn to learn its place waits for runs that
// were begun before it.
class CompressedSink final : public BodySink {
 public:
  CompressedSink(OutputFile file, const CompressedSinkOptions& options);

  [[nodiscard]] Result<void> store(std::uint64_t offset, std::span<const std::byte> run,
                                   std::size_t worker) override;
  void fail(std::uint64_t offset) override;

  // After all runs. The table, with the chunks at the front of the file and zeros up to a multiple
  // of 4096 behind them; nothing if that would not be less than the body, which then stands in the
  // file as it is.
  [[nodiscard]] Result<std::optional<ChunkTable>> finish();

 private:
  [[nodiscard]] Result<void> store_front();
  [[nodiscard]] Result<void> expand();
  [[nodiscard]] std::uint64_t stored_bytes() const;

  OutputFile file_;
  CompressedSinkOptions options_;
  std::size_t deferred_ = 0;  // Chunks at the front that come last.
  ChunkTable table_;          // Each entry is written by the thread that stores its chunk.
  std::vector<std::unique_ptr<ZstdEncoder>> encoders_;  // One a worker.
  std::array<std::vector<std::byte>, 2> front_;         // The deferred chunks.
  Turnstile gate_;          // Guards the next member: whoever has its turn may use it.
  std::uint64_t next_ = 0;  // Where the next chunk goes.
};

// Puts the body of `table` in place of its chunks, which stand at the front of the file. The chunks
// are those that this process wrote: only their sizes are checked.
[[nodiscard]] Result<void> expand_in_place(const OutputFile& file, const ChunkTable& table,
                                           std::uint64_t body_size);

}  // namespace sphere::image
