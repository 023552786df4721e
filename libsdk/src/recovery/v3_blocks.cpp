// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "sphere/core/reader.h"
#include "sphere/recovery/event.h"
#include "sphere/recovery/v3_link.h"
#include "sphere/recovery/v3_messages.h"

namespace sphere::recovery::v3 {

namespace {

using namespace std::chrono_literals;

constexpr Time kLongestTimeout = 5s;
constexpr Time kPoll = 1s;           // With no credit.
constexpr Time kTellAfter = 50ms;    // Of the last block that was not acknowledged yet.
constexpr std::uint32_t kBits = 64;  // Of an answer's bitmap.

std::uint32_t blocks_of(const BlockSender::Config& config) {
  return static_cast<std::uint32_t>((config.length + config.block - 1) / config.block);
}

std::size_t block_size(const BlockSender::Config& config, std::uint32_t block) {
  const std::uint64_t start = std::uint64_t{block} * config.block;
  return static_cast<std::size_t>(std::min<std::uint64_t>(config.block, config.length - start));
}

}  // namespace

// --- Sending. ---

BlockSender::BlockSender(const Config& config)
    : config_{config}, blocks_{blocks_of(config)}, credit_{config.window} {}

std::uint64_t BlockSender::offset_of(std::uint32_t block) const {
  return std::uint64_t{block} * config_.block;
}

std::size_t BlockSender::size_of(std::uint32_t block) const { return block_size(config_, block); }

std::uint64_t BlockSender::acknowledged() const {
  return std::min(offset_of(next_), config_.length);
}

// The first block that may not be sent.
std::uint32_t BlockSender::limit() const {
  const std::uint32_t open = std::min<std::uint32_t>(config_.window, credit_);
  return std::min(blocks_, next_ + std::min(open, blocks_ - next_));
}

Time BlockSender::timeout_after(std::uint32_t sends) const {
  Time timeout = config_.timeout;
  for (std::uint32_t i = 1; i < sends && timeout < kLongestTimeout; ++i) {
    timeout *= 2;
  }
  return std::min(timeout, kLongestTimeout);
}

std::optional<BlockSender::Run> BlockSender::wanted(std::uint32_t most) const {
  if (failed_) {
    return std::nullopt;
  }
  const auto again =
      std::ranges::find_if(sending_, [](const auto& entry) { return entry.second.again; });
  if (again != sending_.end()) {
    return Run{.first = again->first, .count = 1};
  }
  if (unsent_ < limit()) {
    return Run{.first = unsent_, .count = std::min(most, limit() - unsent_)};
  }
  return std::nullopt;
}

void BlockSender::sent(const Run& run, Time now) {
  for (std::uint32_t block = run.first; block < run.first + run.count; ++block) {
    Sending& sending = sending_[block];
    repeats_ += sending.sends > 0 ? 1 : 0;
    ++sending.sends;
    sending.order = ++order_;
    sending.again = false;
    sending.due = now + timeout_after(sending.sends);
  }
  unsent_ = std::max(unsent_, run.first + run.count);
}

void BlockSender::note_received(std::uint32_t block, std::uint64_t& newest) {
  const auto found = sending_.find(block);
  if (found != sending_.end() && !found->second.received) {
    found->second.received = true;
    found->second.again = false;
    newest = std::max(newest, found->second.order);
  }
}

void BlockSender::take(const DataAck& ack, Time now) {
  if (ack.transfer != config_.transfer || ack.next < next_ || ack.next > unsent_) {
    return;
  }
  next_ = ack.next;
  std::uint64_t newest = 0;
  for (const auto& [block, sending] : sending_) {
    newest = block < next_ ? std::max(newest, sending.order) : newest;
  }
  sending_.erase(sending_.begin(), sending_.lower_bound(next_));
  for (std::uint32_t i = 0; i < kBits; ++i) {
    if ((ack.bitmap >> i & 1U) != 0) {
      note_received(next_ + 1 + i, newest);
    }
  }
  credit_ = ack.credit;
  poll_ = credit_ == 0 && !is_done() ? std::optional{now + kPoll} : std::nullopt;
  for (auto& [block, sending] : sending_) {
    if (credit_ == 0) {
      sending.sends = std::min<std::uint32_t>(sending.sends, 1);  // It answers: it is not lost.
    } else if (!sending.received && ack.bitmap != 0 && sending.order < newest) {
      sending.again = true;  // One that was sent later is there.
    }
  }
}

void BlockSender::timer(Time now) {
  if (poll_) {
    if (now >= *poll_) {
      sending_[next_].again = true;
      poll_ = now + kPoll;
    }
    return;
  }
  for (auto& [block, sending] : sending_) {
    if (!sending.received && !sending.again && now >= sending.due) {
      sending.again = true;
      failed_ = failed_ || sending.sends >= kTries;
    }
  }
}

std::optional<Time> BlockSender::deadline() const {
  if (failed_ || is_done()) {
    return std::nullopt;
  }
  if (poll_) {
    return poll_;
  }
  std::optional<Time> first;
  for (const auto& [block, sending] : sending_) {
    if (!sending.received && !sending.again && (!first || sending.due < *first)) {
      first = sending.due;
    }
  }
  return first;
}

// --- Receiving. ---

BlockReceiver::BlockReceiver(const BlockSender::Config& config, Sink sink)
    : config_{config}, sink_{std::move(sink)}, blocks_{blocks_of(config)} {}

std::size_t BlockReceiver::size_of(std::uint32_t block) const { return block_size(config_, block); }

std::uint64_t BlockReceiver::received() const {
  return std::min(std::uint64_t{next_} * config_.block, config_.length);
}

void BlockReceiver::acknowledge(std::vector<std::byte>& wire) {
  DataAck ack{.transfer = config_.transfer,
              .next = next_,
              .credit = paused_until_ ? std::uint16_t{0} : config_.window};
  for (const auto& [block, bytes] : early_) {
    ack.bitmap |= std::uint64_t{1} << (block - next_ - 1);
  }
  append_data_ack(ack, wire);
  unacknowledged_ = 0;
  tell_by_.reset();
}

void BlockReceiver::take(const Frame& frame, Time now, std::vector<std::byte>& wire) {
  Reader reader{frame.payload};
  const auto transfer = reader.little_endian<std::uint32_t>();
  if (!transfer || *transfer != config_.transfer) {
    return;
  }
  const std::uint32_t block = frame.sequence;
  const auto bytes = reader.bytes(reader.left()).value_or(std::span<const std::byte>{});
  if (block < next_ || early_.contains(block) || paused_until_) {
    acknowledge(wire);  // The answer to it was lost, or there is no place for it.
  }
  if (block >= blocks_ || block - next_ >= config_.window || bytes.size() != size_of(block)) {
    return;
    return;
  }
  ++unacknowledged_;
  if (block != next_) {
    early_.emplace(block, std::vector<std::byte>(bytes.begin(), bytes.end()));
    acknowledge(wire);
    return;
  }
  const bool had_gap = !early_.empty();
  ++next_;
  sink_(std::uint64_t{block} * config_.block, bytes);
  for (auto found = early_.find(next_); found != early_.end(); found = early_.find(next_)) {
    const auto kept = std::move(found->second);
    early_.erase(found);
    sink_(std::uint64_t{next_++} * config_.block, kept);
  }
  if (had_gap || is_done() || unacknowledged_ >= std::max(1U, config_.window / 4U)) {
    acknowledge(wire);
    return;
  }
  tell_by_ = now + kTellAfter;
}

void BlockReceiver::timer(Time now, std::vector<std::byte>& wire) {
  if (paused_until_ && now >= *paused_until_) {
    paused_until_.reset();
    acknowledge(wire);
    return;
  }
  if (tell_by_ && now >= *tell_by_) {
    acknowledge(wire);
  }
}

void BlockReceiver::pause(Time until, std::vector<std::byte>& wire) {
  paused_until_ = until;
  acknowledge(wire);
}

std::optional<Time> BlockReceiver::deadline() const {
  if (paused_until_ && tell_by_) {
    return std::min(*paused_until_, *tell_by_);
  }
  return paused_until_ ? paused_until_ : tell_by_;
}

}  // namespace sphere::recovery::v3
