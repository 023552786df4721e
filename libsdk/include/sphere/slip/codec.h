// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace sphere::slip {

// SLIP framing (RFC 1055). A frame on the wire:
//
//   C0 | bytes, C0 as DB DC and DB as DB DD | C0
//
// There is no check sum: what is inside must carry its own (IPv4, TCP).
inline constexpr std::byte kEnd{0xC0};
inline constexpr std::byte kEscape{0xDB};
inline constexpr std::byte kEscapedEnd{0xDC};
inline constexpr std::byte kEscapedEscape{0xDD};

// Largest IPv4 packet on the link, in both directions.
inline constexpr std::size_t kMtu = 1500;

// Most bytes that a frame of `size` bytes takes on the wire.
[[nodiscard]] constexpr std::size_t encoded_limit(std::size_t size) { return 2 * size + 2; }

// Writes `frame` as a SLIP frame to the front of `wire`, which must hold encoded_limit() of its
// size, and returns the bytes written.
[[nodiscard]] std::size_t encode(std::span<const std::byte> frame, std::span<std::byte> wire);

// The same at the end of `wire`.
void append_encoded(std::span<const std::byte> frame, std::vector<std::byte>& wire);

// Finds the frames in a stream of bytes, however that is cut into pieces. Empty frames (END END)
// are skipped. Bytes before the first END are no data. A frame with a wrong escape or with more
// bytes than the limit is dropped up to the next END.
class Decoder {
 public:
  struct Counters {
    std::uint64_t bytes = 0;        // Of input.
    std::uint64_t frames = 0;       // Given to the sink.
    std::uint64_t bad_escapes = 0;  // Dropped: ESC with anything but DC or DD behind it.
    std::uint64_t too_long = 0;     // Dropped: longer than the limit.
    std::uint64_t outside = 0;      // Runs of bytes before the first END.
  };
  // The bytes are valid during the call only.
  using Sink = std::function<void(std::span<const std::byte> frame)>;

  explicit Decoder(std::size_t limit = kMtu);

  // Takes all of `input` and calls `sink` for each frame that it completes.
  void decode(std::span<const std::byte> input, const Sink& sink);
  // Forgets a frame begun: the next bytes come from a new connection.
  void reset();

  [[nodiscard]] const Counters& counters() const noexcept { return counters_; }

 private:
  enum class State : std::uint8_t { outside, inside, escaped, dropping };

  void add(std::span<const std::byte> bytes);
  void end_frame(const Sink& sink);
  void take_escaped(std::byte byte);
  [[nodiscard]] std::size_t take_pairs(std::span<const std::byte> bytes);
  [[nodiscard]] std::size_t take_run(std::span<const std::byte> rest, std::size_t to_end,
                                     const Sink& sink);

  std::size_t limit_;
  State state_ = State::outside;
  bool outside_counted_ = false;
  std::vector<std::byte> frame_;  // Of limit_ bytes, `size_` of them used.
  std::size_t size_ = 0;
  Counters counters_;
};

}  // namespace sphere::slip
