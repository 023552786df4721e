// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "sphere/recovery/crc.h"
#include "sphere/recovery/xmodem.h"

namespace sphere::recovery::xmodem {

namespace {

// After a block was sent more than once, each copy may bring an answer of its own. They are waited
// for, so that none is taken for the answer to the next block.
constexpr Time kSettle = std::chrono::milliseconds{100};

}  // namespace

std::vector<std::byte> encode_block(std::uint8_t number, std::span<const std::byte> data,
                                    bool large, Check check) {
  const std::size_t size = large ? kLarge : kSmall;
  assert(data.size() <= size);
  std::vector<std::byte> block = {large ? kStx : kSoh, std::byte{number}, ~std::byte{number}};
  block.insert(block.end(), data.begin(), data.end());
  block.resize(3 + size, kPadding);
  const auto padded = std::span{block}.subspan(3);
  if (check == Check::crc) {
    const std::uint16_t crc = crc16_xmodem(padded);
    block.push_back(static_cast<std::byte>(crc >> 8));
    block.push_back(static_cast<std::byte>(crc & 0xFF));
    return block;
  }
  std::uint32_t sum = 0;
  for (const std::byte byte : padded) {
    sum += std::to_integer<std::uint32_t>(byte);
  }
  block.push_back(static_cast<std::byte>(sum & 0xFF));
  return block;
}

void Sender::start(Time now) {
  state_ = State::ready;
  deadline_ = now + config_.ready_limit;
}

void Sender::fail(std::string why, std::vector<std::byte>& out) {
  out.insert(out.end(), {kCan, kCan});
  state_ = State::failed;
  why_ = std::move(why);
}

std::optional<Sender::Range> Sender::wanted() const {
  if (state_ != State::data) {
    return std::nullopt;
  }
  const std::uint64_t left = config_.size - acknowledged_;
  const std::size_t most = config_.large_blocks && left >= kLarge ? kLarge : kSmall;
  return Range{.offset = acknowledged_,
               .length = static_cast<std::size_t>(std::min<std::uint64_t>(left, most))};
}

void Sender::supply(std::span<const std::byte> data, Time now, std::vector<std::byte>& out) {
  assert(state_ == State::data);
  block_size_ = data.size();
  block_ = encode_block(number_, data, data.size() > kSmall, check_);
  sends_ = 0;
  send_block(now, out);
}

void Sender::send_block(Time now, std::vector<std::byte>& out) {
  out.insert(out.end(), block_.begin(), block_.end());
  ++sends_;
  state_ = State::answer;
  deadline_ = now + config_.answer_limit;
}

// The next block, or the end.
void Sender::next_block(Time now, std::vector<std::byte>& out) {
  if (acknowledged_ < config_.size) {
    state_ = State::data;
    deadline_ = now + config_.answer_limit;
    return;
  }
  out.push_back(kEot);
  sends_ = 1;
  state_ = State::ending;
  deadline_ = now + config_.answer_limit;
}

void Sender::repeat(Time now, std::vector<std::byte>& out, std::string_view why) {
  if (sends_ >= config_.tries) {
    fail(fmt::format("{} after {} tries of block {} at byte {}", why, sends_, number_,
                     acknowledged_),
         out);
    return;
  }
  ++repeats_;
  if (state_ == State::ending) {
    out.push_back(kEot);
    ++sends_;
    deadline_ = now + config_.answer_limit;
    return;
  }
  send_block(now, out);
}

void Sender::acknowledge(Time now, std::vector<std::byte>& out) {
  acknowledged_ += block_size_;
  ++number_;
  if (sends_ > 1) {
    state_ = State::settling;
    deadline_ = now + kSettle;
    return;
  }
  next_block(now, out);
}

void Sender::take_block_answer(std::byte byte, Time now, std::vector<std::byte>& out) {
  if (byte == kAck) {
    acknowledge(now, out);
  } else if (byte == kNak) {
    repeat(now, out, "the board refused it");
  } else if (byte == kReady && acknowledged_ == 0) {
    repeat(now, out, "the board asked for the first block again");
  }
}

// False: the byte belongs to what comes behind the transfer. A board whose last ACK was lost goes
// on with its own messages, none of which begins with a control byte of XMODEM.
bool Sender::take_end_answer(std::byte byte, Time now, std::vector<std::byte>& out) {
  if (byte == kAck) {
    state_ = State::done;
    return true;
  }
  if (byte == kNak) {
    repeat(now, out, "the board refused the end");
    return true;
  }
  if (byte == kReady || byte == kCan) {
    return true;
  }
  state_ = State::done;
  return false;
}

bool Sender::take(std::byte byte, Time now, std::vector<std::byte>& out) {
  if (byte == kCan && state_ != State::ready && state_ != State::draining) {
    if (std::exchange(cancel_seen_, true)) {
      fail(fmt::format("the board cancelled at byte {}", acknowledged_), out);
    }
    return true;
  }
  cancel_seen_ = false;
  switch (state_) {
    case State::ready:
      if (byte == kReady || byte == kNak) {
        check_ = byte == kReady ? Check::crc : Check::sum;
        state_ = State::draining;
        deadline_ = now + config_.drain;
      }
      return true;
    case State::draining:
      check_ = byte == kReady ? Check::crc : check_;
      return true;
    case State::answer:
      take_block_answer(byte, now, out);
      return true;
    case State::ending:
      return take_end_answer(byte, now, out);
    default:  // Settling, or data is being fetched: answers to copies of the last block.
      return true;
  }
}

std::size_t Sender::receive(std::span<const std::byte> bytes, Time now,
                            std::vector<std::byte>& out) {
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    if (state_ == State::done || state_ == State::failed || !take(bytes[at], now, out)) {
      return at;
    }
  }
  return bytes.size();
}

void Sender::timer(Time now, std::vector<std::byte>& out) {
  if (now < deadline_) {
    return;
  }
  switch (state_) {
    case State::ready:
      fail("the board never became ready for a file", out);
      break;
    case State::draining:
    case State::settling:
      next_block(now, out);
      break;
    case State::answer:
    case State::ending:
      repeat(now, out, "no answer");
      break;
    case State::data:
      fail("no data to send", out);
      break;
    case State::done:
    case State::failed:
      break;
  }
}

}  // namespace sphere::recovery::xmodem
