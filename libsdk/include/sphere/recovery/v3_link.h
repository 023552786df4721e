// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "sphere/recovery/event.h"
#include "sphere/recovery/v3_messages.h"

namespace sphere::recovery::v3 {

// The three state machines below the conversation of recovery v3. None does I/O: bytes for the wire
// are appended to `wire`, and who owns one calls timer() when deadline() has passed.

// Messages of one session, each delivered once and in order. Both sides number theirs from 1; one
// of each direction is on its way at a time, and is sent again after 250 ms, 500 ms ... 4 s.
class Channel {
 public:
  static constexpr std::uint32_t kTries = 8;

  // Forgets all of the session before.
  void reset();
  // Sends, or waits for the message before to be acknowledged. `fixed`: sent again every 250 ms.
  void post(Type type, std::span<const std::byte> data, Time now, std::vector<std::byte>& wire,
            bool fixed = false);
  // Takes a frame of kind message: acknowledges it, and gives its message unless that was here
  // before, is out of turn or makes no sense.
  [[nodiscard]] std::optional<Message> take(const Frame& frame, std::vector<std::byte>& wire);
  // Takes a frame of kind message_ack.
  void take_ack(const Frame& frame, Time now, std::vector<std::byte>& wire);
  void timer(Time now, std::vector<std::byte>& wire);

  // Nothing is on its way or waits.
  [[nodiscard]] bool is_idle() const { return queue_.empty(); }
  // The other side did not acknowledge a message sent kTries times.
  [[nodiscard]] bool has_failed() const { return failed_; }
  [[nodiscard]] std::optional<Time> deadline() const;
  [[nodiscard]] std::uint64_t repeats() const { return repeats_; }

 private:
  struct Queued {
    std::vector<std::byte> frame;
    bool fixed = false;
  };
  void send_first(Time now, std::vector<std::byte>& wire);

  std::uint32_t posted_ = 0;    // Number of the newest message.
  std::uint32_t received_ = 0;  // Number of the last one delivered.
  std::deque<Queued> queue_;    // The first is on its way.
  std::uint32_t sends_ = 0;     // Of the first.
  Time interval_ = {};
  Time deadline_ = {};
  bool failed_ = false;
  std::uint64_t repeats_ = 0;
};

// The host's end of a transfer: which block goes next, and which again. Blocks are numbered from 0;
// each but the last has the same size. It holds no data: who owns it reads what wanted() says.
class BlockSender {
 public:
  struct Config {
    std::uint32_t transfer = 0;
    std::uint64_t length = 0;
    std::uint16_t block = kBlockStep;
    std::uint16_t window = 1;
    Time timeout = std::chrono::milliseconds{200};  // Of a block's first send; doubled to 5 s.
  };
  static constexpr std::uint32_t kTries = 10;

  explicit BlockSender(const Config& config);

  // Blocks to send now, `count` of them from `first` on, at most `most`. sent() must follow.
  struct Run {
    std::uint32_t first = 0;
    std::uint32_t count = 0;
  };
  [[nodiscard]] std::optional<Run> wanted(std::uint32_t most) const;
  void sent(const Run& run, Time now);
  void take(const DataAck& ack, Time now);
  void timer(Time now);

  [[nodiscard]] std::optional<Time> deadline() const;
  [[nodiscard]] bool is_done() const { return next_ == blocks_; }
  [[nodiscard]] bool has_failed() const { return failed_; }
  [[nodiscard]] std::uint64_t acknowledged() const;
  [[nodiscard]] std::uint64_t offset_of(std::uint32_t block) const;
  [[nodiscard]] std::size_t size_of(std::uint32_t block) const;
  [[nodiscard]] std::uint64_t repeats() const { return repeats_; }

 private:
  struct Sending {
    Time due = {};            // When it goes again.
    std::uint64_t order = 0;  // Of its last send among all.
    std::uint32_t sends = 0;
    bool received = false;
    bool again = false;  // Is to be sent now.
  };
  [[nodiscard]] std::uint32_t limit() const;
  [[nodiscard]] Time timeout_after(std::uint32_t sends) const;
  void note_received(std::uint32_t block, std::uint64_t& newest);

  Config config_;
  std::uint32_t blocks_ = 0;
  std::uint32_t next_ = 0;    // All before are received.
  std::uint32_t unsent_ = 0;  // None from here on was sent.
  std::uint16_t credit_ = 0;
  std::uint64_t order_ = 0;
  std::map<std::uint32_t, Sending> sending_;  // From next_ to unsent_; as large as the window.
  std::optional<Time> poll_;                  // With credit 0: when to ask again.
  bool failed_ = false;
  std::uint64_t repeats_ = 0;
};

// The device's end of a transfer.
class BlockReceiver {
 public:
  using Sink = std::function<void(std::uint64_t offset, std::span<const std::byte> bytes)>;

  // `config.timeout` is not used. The sink gets the bytes in order, each once.
  BlockReceiver(const BlockSender::Config& config, Sink sink);

  // Takes a frame of kind data. Another transfer's and malformed ones are dropped.
  void take(const Frame& frame, Time now, std::vector<std::byte>& wire);
  void timer(Time now, std::vector<std::byte>& wire);
  // Takes nothing more until `until`, as a device does whose flash is busy.
  void pause(Time until, std::vector<std::byte>& wire);

  [[nodiscard]] std::optional<Time> deadline() const;
  [[nodiscard]] bool is_done() const { return next_ == blocks_; }
  [[nodiscard]] std::uint64_t received() const;

 private:
  void acknowledge(std::vector<std::byte>& wire);
  [[nodiscard]] std::size_t size_of(std::uint32_t block) const;

  BlockSender::Config config_;
  Sink sink_;
  std::uint32_t blocks_ = 0;
  std::uint32_t next_ = 0;
  std::map<std::uint32_t, std::vector<std::byte>> early_;  // After a gap; within the window.
  std::uint32_t unacknowledged_ = 0;
  std::optional<Time> tell_by_;
  std::optional<Time> paused_until_;
};

}  // namespace sphere::recovery::v3
