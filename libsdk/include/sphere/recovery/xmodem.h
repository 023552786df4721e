// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "sphere/recovery/event.h"

namespace sphere::recovery {

// XMODEM with 128 or 1024 bytes a block:
//
//   01 (128) or 02 (1024) | number | 255 - number | data, padded with 1A | CRC-16, high byte first
//
// Numbers go from 1 and wrap from 255 to 0. A receiver asks with `C` for blocks with a CRC, with
// NAK for blocks with a sum of one byte; answers ACK or NAK; EOT ends it; two CAN cancel it.
namespace xmodem {

inline constexpr std::byte kSoh{0x01};
inline constexpr std::byte kStx{0x02};
inline constexpr std::byte kEot{0x04};
inline constexpr std::byte kAck{0x06};
inline constexpr std::byte kNak{0x15};
inline constexpr std::byte kCan{0x18};
inline constexpr std::byte kReady{0x43};
inline constexpr std::byte kPadding{0x1A};
inline constexpr std::size_t kSmall = 128;
inline constexpr std::size_t kLarge = 1024;

enum class Check : std::uint8_t { crc, sum };

// The block on the wire. `data` is at most kSmall bytes, or at most kLarge with `large`.
[[nodiscard]] std::vector<std::byte> encode_block(std::uint8_t number,
                                                  std::span<const std::byte> data, bool large,
                                                  Check check);

// Sends `size` bytes. start(), then receive(), supply() and timer() as things happen; each appends
// what is to be sent. The first block goes out a while after the receiver's first `C`, so that all
// the others that were on their way, and the letters of a boot message, are over by then.
class Sender {
 public:
  struct Config {
    std::uint64_t size = 0;
    bool large_blocks = false;
    Time ready_limit = std::chrono::seconds{10};  // For the first `C`.
    Time drain = std::chrono::milliseconds{50};
    Time answer_limit = std::chrono::seconds{3};
    std::uint32_t tries = 10;  // Of each block.
  };
  enum class State : std::uint8_t { ready, draining, data, answer, settling, ending, done, failed };
  struct Range {
    std::uint64_t offset = 0;
    std::size_t length = 0;
  };

  explicit Sender(const Config& config) : config_{config} {}

  void start(Time now);
  // Returns the bytes taken: not those behind the answer that ends the transfer.
  std::size_t receive(std::span<const std::byte> bytes, Time now, std::vector<std::byte>& out);
  // What data is wanted now, if any; supply() must get exactly that.
  [[nodiscard]] std::optional<Range> wanted() const;
  void supply(std::span<const std::byte> data, Time now, std::vector<std::byte>& out);
  // To be called when deadline() has passed.
  void timer(Time now, std::vector<std::byte>& out);

  [[nodiscard]] Time deadline() const { return deadline_; }
  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] bool is_waiting_for_ready() const {
    return state_ == State::ready || state_ == State::draining;
  }
  // Bytes of data that the receiver has acknowledged.
  [[nodiscard]] std::uint64_t acknowledged() const { return acknowledged_; }
  // How often a block or the end was sent again.
  [[nodiscard]] std::uint32_t repeats() const { return repeats_; }
  // Why it failed.
  [[nodiscard]] const std::string& why() const { return why_; }

 private:
  void next_block(Time now, std::vector<std::byte>& out);
  void send_block(Time now, std::vector<std::byte>& out);
  void repeat(Time now, std::vector<std::byte>& out, std::string_view why);
  void acknowledge(Time now, std::vector<std::byte>& out);
  void fail(std::string why, std::vector<std::byte>& out);
  [[nodiscard]] bool take(std::byte byte, Time now, std::vector<std::byte>& out);
  [[nodiscard]] bool take_end_answer(std::byte byte, Time now, std::vector<std::byte>& out);
  void take_block_answer(std::byte byte, Time now, std::vector<std::byte>& out);

  Config config_;
  State state_ = State::ready;
  Check check_ = Check::crc;
  Time deadline_ = {};
  std::uint8_t number_ = 1;
  std::uint64_t acknowledged_ = 0;
  std::size_t block_size_ = 0;  // Data bytes of the block in flight.
  std::vector<std::byte> block_;
  std::uint32_t sends_ = 0;  // Of the block in flight, or of the end.
  std::uint32_t repeats_ = 0;
  bool cancel_seen_ = false;
  std::string why_;
};

// Receives blocks. start(), then receive() and timer(); each appends what is to be sent.
class Receiver {
 public:
  struct Config {
    std::uint64_t size = 0;  // What was announced; padding behind it is cut.
    Time ready_interval = std::chrono::seconds{1};
    Time gap = std::chrono::milliseconds{500};  // Within a block.
    std::uint32_t errors = 10;                  // Bad blocks in a row, and silent ready_intervals.
    bool nak_first_end = false;                 // Some receivers do.
  };
  enum class State : std::uint8_t { ready, block, garbage, done, failed };
  // Gets the data of each new block, already cut to the announced size.
  using Sink = std::function<void(std::span<const std::byte>)>;

  Receiver(const Config& config, Sink sink) : config_{config}, sink_{std::move(sink)} {}

  void start(Time now, std::vector<std::byte>& out);
  // Returns the bytes taken: not those behind the end of the transfer.
  std::size_t receive(std::span<const std::byte> bytes, Time now, std::vector<std::byte>& out);
  void timer(Time now, std::vector<std::byte>& out);
  // Refuses the next `count` blocks, however good.
  void refuse_next(std::uint32_t count) { refuse_ = count; }

  [[nodiscard]] Time deadline() const { return deadline_; }
  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] std::uint64_t received() const { return received_; }

 private:
  [[nodiscard]] std::size_t wanted() const;
  void begin(std::byte first, Time now, std::vector<std::byte>& out);
  void end_block(Time now, std::vector<std::byte>& out);
  void bad(Time now, std::vector<std::byte>& out);
  void end(Time now, std::vector<std::byte>& out);

  Config config_;
  Sink sink_;
  State state_ = State::ready;
  Time deadline_ = {};
  bool any_block_ = false;  // Something like a block came: NAK, not `C`, is the answer.
  bool accepted_ = false;
  std::uint8_t next_ = 1;
  std::uint64_t received_ = 0;
  std::uint32_t errors_ = 0;
  std::uint32_t refuse_ = 0;
  bool cancel_seen_ = false;
  bool end_refused_ = false;
  std::size_t filled_ = 0;
  std::array<std::byte, 3 + kLarge + 2> block_ = {};
};

}  // namespace xmodem

}  // namespace sphere::recovery
