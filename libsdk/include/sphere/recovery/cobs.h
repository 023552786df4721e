// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace sphere::recovery {

// Consistent overhead byte stuffing. A frame on the wire has no zero but its end:
//
//   code, code - 1 bytes that are not zero | ... | 00
//
// Each block but the last stands for its bytes and a zero, unless its code is FF: 254 bytes and no
// zero. The encoder ends a frame after a last full block; the decoder also takes one with the
// needless 01 that some encoders put there.

// Most bytes that a frame of `size` bytes takes on the wire, the 00 at its end included.
[[nodiscard]] constexpr std::size_t cobs_limit(std::size_t size) { return size + size / 254 + 2; }

// Writes `frame` and the 00 to the front of `wire`, which must hold cobs_limit() of its size, and
// returns the bytes written.
[[nodiscard]] std::size_t cobs_encode(std::span<const std::byte> frame, std::span<std::byte> wire);

// The same at the end of `wire`.
void append_cobs(std::span<const std::byte> frame, std::vector<std::byte>& wire);

// Finds the frames in a stream of bytes, however that is cut. Empty wire frames (00 00) are
// skipped. A frame that breaks off within a block or has more bytes than the limit is dropped up to
// the next 00.
class CobsDecoder {
 public:
  struct Counters {
    std::uint64_t frames = 0;    // Given to the sink; the frame without bytes is one (01 00).
    std::uint64_t broken = 0;    // Dropped: a zero within a block.
    std::uint64_t too_long = 0;  // Dropped: longer than the limit.
  };
  // The bytes are valid during the call only. False: decode() returns after this frame.
  using Sink = std::function<bool(std::span<const std::byte> frame)>;

  explicit CobsDecoder(std::size_t limit);

  // Takes `input` and calls `sink` for each frame that it completes. Returns the bytes taken: all
  // unless the sink said false.
  std::size_t decode(std::span<const std::byte> input, const Sink& sink);
  // Forgets a frame begun.
  void reset();
  // Whether a frame has begun and not ended.
  [[nodiscard]] bool in_frame() const noexcept { return begun_ || dropping_; }

  [[nodiscard]] const Counters& counters() const noexcept { return counters_; }

 private:
  [[nodiscard]] bool end_frame(const Sink& sink);
  void begin_block(std::byte code);
  void add(std::span<const std::byte> bytes);

  std::size_t limit_;
  std::vector<std::byte> frame_;  // Of limit_ bytes, `size_` of them used.
  std::size_t size_ = 0;
  std::size_t block_left_ = 0;  // Bytes of the open block that are still to come.
  bool begun_ = false;          // A code was seen in this frame.
  bool zero_due_ = false;       // The next block has a zero in front.
  bool dropping_ = false;
  Counters counters_;
};

}  // namespace sphere::recovery
