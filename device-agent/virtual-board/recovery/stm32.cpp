// SPDX-License-Identifier: MIT
#include "device-agent/virtual-board/recovery/stm32.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <variant>
#include <vector>

#include "device-agent/virtual-board/recovery/device_side.h"
#include "device-agent/virtual-board/recovery/flash.h"
#include "device-agent/virtual-board/recovery/needed_range.h"
#include "sphere/recovery/crc.h"

namespace sphere::virtual_board {

namespace {

constexpr std::byte kAck{0x79};
constexpr std::byte kNack{0x1F};
constexpr std::byte kSync{0x7F};
constexpr std::byte kVersion{0x31};
constexpr std::size_t kAddressSize = 5;  // Four bytes and their xor.

enum Command : std::uint8_t {
  get = 0x00,
  version = 0x01,
  id = 0x02,
  read = 0x11,
  go = 0x21,
  write = 0x31,
  erase = 0x43,
  extended_erase = 0x44,
  write_protect = 0x63,
  write_unprotect = 0x73,
  read_protect = 0x82,
  read_unprotect = 0x92,
};

std::uint8_t number(std::byte byte) { return std::to_integer<std::uint8_t>(byte); }

std::size_t big_endian(std::span<const std::byte> bytes) {
  std::size_t value = 0;
  for (const std::byte byte : bytes) {
    value = value << 8U | number(byte);
  }
  return value;
}

}  // namespace

Stm32Device::Stm32Device(Stm32Board board, Flash flash)
    : board_{std::move(board)}, flash_{std::move(flash)} {}

void Stm32Device::take(const device::Input& input, device::Time now, device::Actions& actions) {
  actions_ = &actions;
  now_ = now;
  if (const auto* const power = std::get_if<device::PowerOn>(&input)) {
    restart();
    if (!power->recovery_strap) {
      state_ = State::booted;
      actions.push_back(device::Boot{});
    }
  } else if (const auto* const received = std::get_if<device::Received>(&input)) {
    for (const std::byte byte : received->bytes) {
      take_byte(byte);
    }
  } else if (std::holds_alternative<device::TimerFired>(input) && state_ == State::busy) {
    finish_erase(erased_well_);
  }
  actions_ = nullptr;
}

void Stm32Device::restart() {
  state_ = State::sync;
  bytes_.clear();
  restarts_ = false;
  actions_->push_back(device::Disarm{});
}

void Stm32Device::expect(State state, std::size_t count) {
  state_ = state;
  wanted_ = count;
  bytes_.clear();
}

void Stm32Device::answer(bool good) { send({good ? kAck : kNack}); }

void Stm32Device::send(std::vector<std::byte> bytes) {
  actions_->push_back(device::Send{.bytes = std::move(bytes)});
}

void Stm32Device::take_byte(std::byte byte) {
  if (state_ == State::off || state_ == State::booted || state_ == State::busy) {
    return;
  }
  if (state_ == State::sync) {
    if (byte == kSync) {
      answer(true);
      expect(State::command, 2);
    }
    return;
  }
  bytes_.push_back(byte);
  if (bytes_.size() < wanted_) {
    return;
  }
  switch (state_) {
    case State::command:
      take_command();
      break;
    case State::address:
      take_address();
      break;
    case State::size:
      take_read_size();
      break;
    case State::data:
      take_data();
      break;
    case State::pages:
      take_pages();
      break;
    default:
      break;
  }
}

void Stm32Device::take_command() {
  const std::uint8_t command = number(bytes_[0]);
  const bool good = (command ^ number(bytes_[1])) == 0xFF;
  expect(State::command, 2);
  if (!good) {
    answer(false);
    return;
  }
  begin_command(command);
}

void Stm32Device::begin_command(std::uint8_t command) {
  command_ = command;
  const bool known_erase = command == (board_.extended_erase ? extended_erase : erase);
  const bool needs_reading = command == read || command == go || command == write || known_erase ||
                             command == write_protect;
  if (needs_reading && board_.read_protected) {
    answer(false);
  } else if (command == get || command == version || command == id) {
    report_commands();
  } else if (command == read || command == go || command == write) {
    answer(true);
    expect(State::address, kAddressSize);
  } else if (known_erase) {
    answer(true);
    expect(State::pages, board_.extended_erase ? 3 : 2);
  } else if (command == write_unprotect || command == read_protect) {
    send({kAck, kAck});
    board_.read_protected = board_.read_protected || command == read_protect;
    restart();
  } else if (command == read_unprotect) {
    answer(true);
    remove_read_protection();
  } else {
    answer(false);
  }
}

void Stm32Device::report_commands() {
  const auto id_high = static_cast<std::byte>(board_.id >> 8U);
  const auto id_low = static_cast<std::byte>(board_.id & 0xFFU);
  switch (command_) {
    case get: {
      const std::vector<std::uint8_t> commands = {get,
                                                  version,
                                                  id,
                                                  read,
                                                  go,
                                                  write,
                                                  board_.extended_erase ? extended_erase : erase,
                                                  write_protect,
                                                  write_unprotect,
                                                  read_protect,
                                                  read_unprotect};
      std::vector<std::byte> bytes = {kAck, static_cast<std::byte>(commands.size()), kVersion};
      for (const std::uint8_t command : commands) {
        bytes.push_back(std::byte{command});
      }
      bytes.push_back(kAck);
      send(std::move(bytes));
      break;
    }
    case version:
      send({kAck, kVersion, std::byte{0}, std::byte{0}, kAck});
      break;
    default:
      send({kAck, std::byte{1}, id_high, id_low, kAck});
      break;
  }
}

void Stm32Device::take_address() {
  const auto address = std::span{bytes_}.first(kAddressSize - 1);
  const bool good = recovery::xor_sum(address) == number(bytes_.back());
  address_ = static_cast<std::uint32_t>(big_endian(address));
  const bool inside =
      address_ >= board_.flash_address && address_ - board_.flash_address < flash_.size();
  expect(State::command, 2);
  answer(good && inside);
  if (!good || !inside) {
    return;
  }
  if (command_ == go) {
    state_ = State::booted;
    actions_->push_back(device::Boot{});
  } else if (command_ == read) {
    expect(State::size, 2);
  } else {
    expect(State::data, 1);
  }
}

void Stm32Device::take_read_size() {
  const std::size_t size = std::size_t{number(bytes_[0])} + 1;
  const std::size_t offset = address_ - board_.flash_address;
  const bool good =
      (number(bytes_[0]) ^ number(bytes_[1])) == 0xFF && size <= flash_.size() - offset;
  expect(State::command, 2);
  answer(good);
  if (good) {
    const auto bytes = flash_.bytes().subspan(offset, size);
    send({bytes.begin(), bytes.end()});
  }
}

void Stm32Device::take_data() {
  const std::size_t size = std::size_t{number(bytes_[0])} + 1;
  if (wanted_ == 1) {
    wanted_ = size + 2;  // The size itself, the data, the check sum.
    return;
  }
  const auto message = std::span{bytes_}.first(size + 1);
  const bool good =
      recovery::xor_sum(message) == number(bytes_.back()) &&
      flash_.program(address_ - board_.flash_address, message.subspan(1)) == Flash::Access::ok;
  expect(State::command, 2);
  answer(good);
}

void Stm32Device::take_pages() {
  const std::size_t width = board_.extended_erase ? 2 : 1;
  const std::size_t count = big_endian(std::span{bytes_}.first(width));
  // All ones, and the two bank codes below for the wide form, stand for all of flash.
  const bool all = width == 1 ? count == 0xFF : count == 0xFFFF;
  const std::size_t size = all ? width + 1 : width + (count + 1) * width + 1;
  if (bytes_.size() < size) {
    wanted_ = size;
    return;
  }
  const auto message = std::span{bytes_}.first(size - 1);
  // The narrow mass erase has a complement, all other forms have the xor of what is in front.
  const std::uint8_t sum =
      recovery::xor_sum(message, all && width == 1 ? std::uint8_t{0xFF} : std::uint8_t{0});
  bool good = sum == number(bytes_.back());
  if (good) {
    good = all ? flash_.erase(0, flash_.size()) == Flash::Access::ok
               : erase_pages(message.subspan(width), width);
  }
  erased_well_ = good;
  if (!good || board_.erase_time == device::Time{}) {
    finish_erase(good);
    return;
  }
  state_ = State::busy;
  actions_->push_back(device::Arm{now_ + board_.erase_time});
}

bool Stm32Device::erase_pages(std::span<const std::byte> pages, std::size_t width) {
  for (; !pages.empty(); pages = pages.subspan(width)) {
    const std::size_t page = big_endian(pages.first(width));
    if (page >= flash_.size() / flash_.sector() ||
        flash_.erase(page * flash_.sector(), flash_.sector()) != Flash::Access::ok) {
      return false;
    }
  }
  return true;
}

void Stm32Device::remove_read_protection() {
  board_.read_protected = false;
  restarts_ = true;
  erased_well_ = flash_.erase(0, flash_.size()) == Flash::Access::ok;
  if (board_.erase_time == device::Time{}) {
    finish_erase(erased_well_);
    return;
  }
  state_ = State::busy;
  actions_->push_back(device::Arm{now_ + board_.erase_time});
}

void Stm32Device::finish_erase(bool good) {
  expect(State::command, 2);
  answer(good);
  if (restarts_) {
    restart();
  }
}

bool Stm32Device::is_complete() const { return holds(flash_, board_.needed); }

}  // namespace sphere::virtual_board
