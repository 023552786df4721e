// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "sphere/recovery/crc.h"
#include "sphere/recovery/xmodem.h"

namespace sphere::recovery::xmodem {

namespace {

constexpr std::size_t kHead = 3;

}  // namespace

void Receiver::start(Time now, std::vector<std::byte>& out) {
  state_ = State::ready;
  out.push_back(kReady);
  deadline_ = now + config_.ready_interval;
}

// Bytes of the block that has begun.
std::size_t Receiver::wanted() const { return kHead + (block_[0] == kStx ? kLarge : kSmall) + 2; }

void Receiver::bad(Time now, std::vector<std::byte>& out) {
  filled_ = 0;
  deadline_ = now + config_.ready_interval;
  if (++errors_ > config_.errors) {
    out.insert(out.end(), {kCan, kCan});
    state_ = State::failed;
    return;
  }
  state_ = State::ready;
  out.push_back(any_block_ ? kNak : kReady);
}

void Receiver::end_block(Time now, std::vector<std::byte>& out) {
  const auto block = std::span{block_}.first(filled_);
  const auto data = block.subspan(kHead, filled_ - kHead - 2);
  const auto crc =
      static_cast<std::uint16_t>(std::to_integer<std::uint32_t>(block[filled_ - 2]) << 8 |
                                 std::to_integer<std::uint32_t>(block[filled_ - 1]));
  const auto number = std::to_integer<std::uint8_t>(block[1]);
  const bool again = accepted_ && number == static_cast<std::uint8_t>(next_ - 1);
  if (block[2] != ~block[1] || crc16_xmodem(data) != crc || (number != next_ && !again) ||
      refuse_ > 0) {
    refuse_ -= refuse_ > 0 ? 1 : 0;
    any_block_ = true;  // From now on NAK, not `C`, is the answer.
    bad(now, out);
    return;
  }
  filled_ = 0;
  errors_ = 0;
  any_block_ = true;
  accepted_ = true;
  state_ = State::ready;
  deadline_ = now + config_.ready_interval;
  if (!again) {
    const auto size = std::min<std::uint64_t>(config_.size - received_, data.size());
    sink_(data.first(static_cast<std::size_t>(size)));
    received_ += size;
    ++next_;
  }
  out.push_back(kAck);
}

void Receiver::end(Time now, std::vector<std::byte>& out) {
  if (config_.nak_first_end && !std::exchange(end_refused_, true)) {
    out.push_back(kNak);
    deadline_ = now + config_.ready_interval;
    return;
  }
  if (received_ != config_.size) {
    out.insert(out.end(), {kCan, kCan});
    state_ = State::failed;
    return;
  }
  out.push_back(kAck);
  state_ = State::done;
}

// The first byte of a block, or one between blocks.
void Receiver::begin(std::byte first, Time now, std::vector<std::byte>& out) {
  if (first == kCan) {
    if (std::exchange(cancel_seen_, true)) {
      state_ = State::failed;
    }
    return;
  }
  cancel_seen_ = false;
  if (first == kEot) {
    end(now, out);
    return;
  }
  state_ = first == kSoh || first == kStx ? State::block : State::garbage;
  deadline_ = now + config_.gap;
  block_[0] = first;
  filled_ = 1;
}

std::size_t Receiver::receive(std::span<const std::byte> bytes, Time now,
                              std::vector<std::byte>& out) {
  for (std::size_t at = 0; at < bytes.size();) {
    switch (state_) {
      case State::ready:
        begin(bytes[at++], now, out);
        break;
      case State::block: {
        const std::size_t run = std::min(wanted() - filled_, bytes.size() - at);
        std::ranges::copy(bytes.subspan(at, run), std::span{block_}.subspan(filled_).begin());
        filled_ += run;
        at += run;
        deadline_ = now + config_.gap;
        if (filled_ == wanted()) {
          end_block(now, out);
        }
        break;
      }
      case State::garbage:  // Until the line is quiet.
        deadline_ = now + config_.gap;
        return bytes.size();
      case State::done:
      case State::failed:
        return at;
    }
  }
  return bytes.size();
}

void Receiver::timer(Time now, std::vector<std::byte>& out) {
  if (now < deadline_ || state_ == State::done || state_ == State::failed) {
    return;
  }
  any_block_ = any_block_ || state_ == State::block;
  bad(now, out);
}

}  // namespace sphere::recovery::xmodem
