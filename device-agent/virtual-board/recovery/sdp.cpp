// SPDX-License-Identifier: MIT
#include "device-agent/virtual-board/recovery/sdp.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <variant>
#include <vector>

#include "device-agent/virtual-board/recovery/device_side.h"
#include "device-agent/virtual-board/recovery/flash.h"
#include "device-agent/virtual-board/recovery/needed_range.h"

namespace sphere::virtual_board {

namespace {

using Word = std::array<std::byte, 4>;

constexpr std::size_t kCommandSize = 16;
constexpr std::size_t kAnswerSize = 64;
constexpr std::size_t kDcdLimit = 1768;
constexpr std::size_t kReadLimit = 4096;
constexpr std::size_t kTable = 32;
constexpr std::size_t kSelfField = 20;

enum Code : std::uint16_t {
  read_register_code = 0x0101,
  write_register_code = 0x0202,
  write_file_code = 0x0404,
  error_status_code = 0x0505,
  write_csf_code = 0x0606,
  write_dcd_code = 0x0A0A,
  jump_code = 0x0B0B,
  skip_dcd_code = 0x0C0C,
};

constexpr Word word(std::uint32_t value) {
  return {static_cast<std::byte>(value >> 24U), static_cast<std::byte>(value >> 16U & 0xFFU),
          static_cast<std::byte>(value >> 8U & 0xFFU), static_cast<std::byte>(value & 0xFFU)};
}
constexpr Word kGreeting = word(0x23454523);
constexpr Word kGood = word(0xF0F0F0F0);
constexpr Word kFileTaken = word(0x88888888);
constexpr Word kWritten = word(0x128A8A12);
constexpr Word kSkipped = word(0x09D00D90);
constexpr Word kSkippedReversed = word(0x900DD009);
// Of the HAB: failure, reason, context.
constexpr Word kUnsupported = word(0x33030A00);
constexpr Word kBadTable = word(0x33050A00);
constexpr Word kBadSignature = word(0x33180A00);
constexpr Word kBadAddress = word(0x33223300);
constexpr Word kBadDcd = word(0x3327DD00);

std::uint32_t big_endian(std::span<const std::byte> bytes) {
  std::uint32_t value = 0;
  for (const std::byte byte : bytes) {
    value = value << 8U | std::to_integer<std::uint32_t>(byte);
  }
  return value;
}

std::uint32_t little_endian(std::span<const std::byte> bytes) {
  std::uint32_t value = 0;
  for (std::size_t i = bytes.size(); i > 0; --i) {
    value = value << 8U | std::to_integer<std::uint32_t>(bytes[i - 1]);
  }
  return value;
}

}  // namespace

SdpDevice::SdpDevice(SdpBoard board, Flash memory)
    : board_{std::move(board)}, memory_{std::move(memory)} {}

std::vector<std::byte> SdpDevice::report_descriptor() {
  // Vendor page; reports 1 and 2 out with 16 and 1024 bytes, 3 and 4 in with 4 and 64.
  constexpr auto kBytes = std::to_array<unsigned char>(
      {0x06, 0x00, 0xFF, 0x09, 0x01, 0xA1, 0x01, 0x85, 0x01, 0x19, 0x01, 0x29, 0x01,
       0x15, 0x00, 0x26, 0xFF, 0x00, 0x75, 0x08, 0x95, 0x10, 0x91, 0x02, 0x85, 0x02,
       0x19, 0x01, 0x29, 0x01, 0x15, 0x00, 0x26, 0xFF, 0x00, 0x75, 0x80, 0x95, 0x40,
       0x91, 0x02, 0x85, 0x03, 0x19, 0x01, 0x29, 0x01, 0x15, 0x00, 0x26, 0xFF, 0x00,
       0x75, 0x08, 0x95, 0x04, 0x81, 0x02, 0x85, 0x04, 0x19, 0x01, 0x29, 0x01, 0x15,
       0x00, 0x26, 0xFF, 0x00, 0x75, 0x08, 0x95, 0x40, 0x81, 0x02, 0xC0});
  const auto bytes = std::as_bytes(std::span{kBytes});
  return {bytes.begin(), bytes.end()};
}

void SdpDevice::take(const device::Input& input, device::Time /*now*/, device::Actions& actions) {
  actions_ = &actions;
  if (const auto* const power = std::get_if<device::PowerOn>(&input)) {
    in_.clear();
    last_ = kGood;
    state_ = board_.uart ? State::greeting : State::command;
    if (!power->recovery_strap) {
      state_ = State::booted;
      actions.push_back(device::Boot{});
    }
  } else if (state_ == State::off || state_ == State::booted) {
    // Nobody listens.
  } else if (const auto* const report = std::get_if<device::ReportOut>(&input)) {
    if (!board_.uart && report->id == 1 && report->bytes.size() >= kCommandSize) {
      take_command(report->bytes.first(kCommandSize));
    } else if (!board_.uart && report->id == 2 && state_ == State::data) {
      take_data(report->bytes);
    }
  } else if (const auto* const received = std::get_if<device::Received>(&input)) {
    if (board_.uart) {
      take_bytes(received->bytes);
    }
  }
  actions_ = nullptr;
}

void SdpDevice::take_bytes(std::span<const std::byte> bytes) {
  while (!bytes.empty() && state_ != State::booted) {
    if (state_ == State::data) {
      const auto part = bytes.first(std::min<std::size_t>(bytes.size(), count_ - taken_));
      bytes = bytes.subspan(part.size());
      take_data(part);
      continue;
    }
    in_.push_back(bytes.front());
    bytes = bytes.subspan(1);
    if (state_ == State::greeting) {
      if (in_.size() > kGreeting.size()) {
        in_.erase(in_.begin());
      }
      if (std::ranges::equal(in_, kGreeting)) {
        in_.clear();
        state_ = State::command;
        send(0, kGreeting, kGreeting.size());
      }
    } else if (in_.size() == kCommandSize) {
      const auto command = std::exchange(in_, {});
      take_command(command);
    } else if (std::ranges::equal(in_, kGreeting)) {
      // Said again by a host that did not hear the answer. No command begins so.
      in_.clear();
      send(0, kGreeting, kGreeting.size());
    }
  }
}

void SdpDevice::take_command(std::span<const std::byte> bytes) {
  code_ = static_cast<std::uint16_t>(big_endian(bytes.first(2)));
  address_ = big_endian(bytes.subspan(2, 4));
  format_ = std::to_integer<std::uint8_t>(bytes[6]);
  count_ = big_endian(bytes.subspan(7, 4));
  value_ = big_endian(bytes.subspan(11, 4));
  taken_ = 0;
  state_ = State::command;
  switch (code_) {
    case read_register_code:
      say_state();
      read_memory();
      break;
    case write_register_code:
      say_state();
      write_register();
      break;
    case write_dcd_code:
    case write_csf_code:
    case write_file_code:
      dcd_.clear();
      state_ = State::data;
      if (count_ == 0) {
        finish_data();
      }
      break;
    case error_status_code:
      say_state();
      answer(last_);
      break;
    case jump_code:
      say_state();
      jump();
      break;
    case skip_dcd_code:
      say_state();
      answer(!board_.skips_dcd ? kUnsupported : board_.reversed ? kSkippedReversed : kSkipped);
      break;
    default:
      say_state();
      answer(last_ = kUnsupported);
      break;
  }
}

void SdpDevice::take_data(std::span<const std::byte> bytes) {
  const auto data = bytes.first(std::min<std::size_t>(bytes.size(), count_ - taken_));
  if (code_ == write_file_code) {
    if (is_memory(address_, count_)) {
      memory_.load(address_ - board_.memory_address + taken_, data);
    }
  } else if (dcd_.size() < kDcdLimit) {
    const auto room = std::min(data.size(), kDcdLimit - dcd_.size());
    dcd_.insert(dcd_.end(), data.begin(), data.begin() + static_cast<std::ptrdiff_t>(room));
  }
  taken_ += data.size();
  if (taken_ == count_) {
    finish_data();
  }
}

void SdpDevice::finish_data() {
  state_ = State::command;
  say_state();
  if (board_.is_mute) {
    return;
  }
  if (code_ == write_file_code) {
    const bool inside = is_memory(address_, count_);
    last_ = inside ? last_ : kBadAddress;
    answer(inside ? kFileTaken : kBadAddress);
  } else if (code_ == write_csf_code) {
    answer(kWritten);
  } else {
    const bool good = count_ <= kDcdLimit && dcd_.size() >= 4 && dcd_[0] == std::byte{0xD2} &&
                      big_endian(std::span{dcd_}.subspan(1, 2)) <= dcd_.size();
    last_ = good ? last_ : kBadDcd;
    answer(good ? kWritten : kBadDcd);
  }
}

bool SdpDevice::is_memory(std::uint32_t address, std::size_t size) const {
  return address >= board_.memory_address && address - board_.memory_address <= memory_.size() &&
         size <= memory_.size() - (address - board_.memory_address);
}

void SdpDevice::read_memory() {
  std::vector<std::byte> bytes(std::min<std::size_t>(count_, kReadLimit));
  if (is_memory(address_, bytes.size())) {
    const auto from = memory_.bytes().subspan(address_ - board_.memory_address, bytes.size());
    std::ranges::copy(from, bytes.begin());
  }
  for (std::span<const std::byte> rest{bytes}; !rest.empty();) {
    const auto part = rest.first(std::min(rest.size(), kAnswerSize));
    send(4, part, board_.uart ? part.size() : kAnswerSize);
    rest = rest.subspan(part.size());
  }
}

void SdpDevice::write_register() {
  const std::size_t size = format_ / 8U;
  const auto bytes = word(value_);
  if ((size == 1 || size == 2 || size == 4) && is_memory(address_, size)) {
    std::array<std::byte, 4> little = {};
    std::ranges::reverse_copy(bytes, little.begin());
    memory_.load(address_ - board_.memory_address, std::span{little}.first(size));
  }
  answer(kWritten);
}

// kGood: it may start.
SdpDevice::Word SdpDevice::why_not_start() const {
  if (!is_memory(address_, kTable)) {
    return kBadAddress;
  }
  const auto table = memory_.bytes().subspan(address_ - board_.memory_address, kTable);
  constexpr std::uint32_t kTag = 0x402000D1;
  constexpr std::uint32_t kNewerTag = 0x412000D1;
  const auto tag = little_endian(table.first(4));
  if ((tag != kTag && tag != kNewerTag) ||
      little_endian(table.subspan(kSelfField, 4)) != address_) {
    return kBadTable;
  }
  return board_.closed && !is_complete() ? kBadSignature : kGood;
}

void SdpDevice::jump() {
  const Word why = why_not_start();
  if (why != kGood) {
    last_ = why;
    answer(why);
    return;
  }
  state_ = State::booted;
  actions_->push_back(device::Boot{});
}

void SdpDevice::say_state() {
  if (!board_.hides_state) {
    send(3, word(board_.closed ? 0x12343412 : 0x56787856), 4);
  }
}

void SdpDevice::answer(const Word& word) { send(4, word, board_.uart ? 4 : kAnswerSize); }

void SdpDevice::send(std::uint8_t report, std::span<const std::byte> bytes, std::size_t size) {
  std::vector<std::byte> whole{bytes.begin(), bytes.end()};
  whole.resize(size);
  if (board_.uart) {
    actions_->push_back(device::Send{.bytes = std::move(whole)});
  } else {
    actions_->push_back(device::ReportIn{.id = report, .bytes = std::move(whole)});
  }
}

}  // namespace sphere::virtual_board
