// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "libsdk/src/crypto/hash/backend.h"
#include "libsdk/src/crypto/hash/constants.h"
#include "sphere/core/result.h"
#include "sphere/crypto/block_hash.h"
#include "sphere/crypto/digest.h"

namespace sphere::crypto {

// One message on its way through the compression function.
struct HashLane {
  std::array<std::uint32_t, kHashWords> state = kSha256Initial;
  const std::byte* data = nullptr;  // The next whole blocks.
};

// The digest of a finished lane: its state, big-endian.
[[nodiscard]] Sha256Digest digest_of(const HashLane& lane);

// Room for the end of a message: fewer than 64 bytes of it, 0x80, zeros and the length in bits.
using Padding = std::array<std::byte, 2 * kHashBlockSize>;
// Fills in what follows the `rest` (< 64) message bytes at the front of `padding`; returns how many
// blocks (1 or 2) are to be hashed. FIPS 180-4, 5.1.1.
[[nodiscard]] std::size_t write_padding(Padding& padding, std::size_t rest,
                                        std::uint64_t message_bytes);

// Runs `blocks` blocks of up to row.lanes lanes through one kernel and moves their data on.
void run_kernel(const HashBackend& row, std::span<HashLane* const> lanes, std::size_t blocks);

// Feeds a lane from a stream: its pieces, then the padding. `blocks()` whole blocks lie at
// lane().data; after running some of them, say so with `advance`; refill() when none are left.
class StreamFeeder {
 public:
  StreamFeeder() = default;
  StreamFeeder(const StreamFeeder&) = delete;  // The lane points into the padding.
  StreamFeeder& operator=(const StreamFeeder&) = delete;
  StreamFeeder(StreamFeeder&&) = delete;
  StreamFeeder& operator=(StreamFeeder&&) = delete;
  ~StreamFeeder() = default;

  // Begins with a new stream.
  void start(MessageStream& stream);
  // Gets blocks if there are none: false at the end of the message.
  // Errors: those of MessageStream::next(); invalid_argument for a piece after an odd one.
  [[nodiscard]] Result<bool> refill();
  void advance(std::size_t blocks) { blocks_ -= blocks; }

  [[nodiscard]] HashLane& lane() { return lane_; }
  [[nodiscard]] std::size_t blocks() const { return blocks_; }

 private:
  enum class Phase : std::uint8_t { pieces, padding };
  Result<void> take_piece();

  MessageStream* stream_ = nullptr;
  HashLane lane_;
  std::size_t blocks_ = 0;
  std::uint64_t message_bytes_ = 0;
  std::size_t rest_ = 0;  // Message bytes at the front of padding_.
  Padding padding_ = {};
  Phase phase_ = Phase::pieces;
};

}  // namespace sphere::crypto
