// SPDX-License-Identifier: MIT
#include "device-agent/virtual-board/recovery/esp.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "device-agent/virtual-board/recovery/device_side.h"
#include "device-agent/virtual-board/recovery/flash.h"
#include "device-agent/virtual-board/recovery/needed_range.h"
#include "sphere/core/encoding.h"
#include "sphere/core/reader.h"
#include "sphere/core/writer.h"
#include "sphere/crypto/digest.h"
#include "sphere/recovery/crc.h"
#include "sphere/slip/codec.h"

namespace sphere::virtual_board {

namespace {

constexpr std::uint32_t kMostBlock = 0x4000;
constexpr std::size_t kFrameLimit = kMostBlock + 64;
constexpr std::uint32_t kMagicRegister = 0x40001000;
constexpr std::uint32_t kFirstChip = 0;
constexpr std::uint32_t kS2 = 2;
constexpr unsigned kEchoes = 8;  // Answers of a ROM to a sync, and to what it does not know.

enum Command : std::uint8_t {
  flash_begin_command = 0x02,
  flash_data_command = 0x03,
  flash_end_command = 0x04,
  ram_begin_command = 0x05,
  ram_end_command = 0x06,
  ram_data_command = 0x07,
  sync_command = 0x08,
  write_register_command = 0x09,
  read_register_command = 0x0A,
  spi_size_command = 0x0B,
  spi_attach_command = 0x0D,
  md5_command = 0x13,
  security_command = 0x14,
};

enum Reason : std::uint8_t {
  good = 0x00,
  bad_parameter = 0x01,
  bad_form = 0x05,
  failed = 0x06,
  bad_sum = 0x07,
  flash_write = 0x08,
  flash_read = 0x09,
};

// The first `count` words of a message; nothing when it is shorter.
std::optional<std::vector<std::uint32_t>> words(Reader& reader, std::size_t count) {
  std::vector<std::uint32_t> values;
  for (std::size_t i = 0; i < count; ++i) {
    const auto value = reader.little_endian<std::uint32_t>();
    if (!value) {
      return std::nullopt;
    }
    values.push_back(*value);
  }
  return values;
}

}  // namespace

EspDevice::EspDevice(EspBoard board, Flash flash)
    : board_{std::move(board)}, flash_{std::move(flash)}, decoder_{kFrameLimit} {}

void EspDevice::take(const device::Input& input, device::Time now, device::Actions& actions) {
  actions_ = &actions;
  now_ = now;
  if (const auto* const power = std::get_if<device::PowerOn>(&input)) {
    restart(power->recovery_strap);
  } else if (const auto* const lines = std::get_if<device::ModemLines>(&input)) {
    take_lines(*lines);
  } else if (const auto* const received = std::get_if<device::Received>(&input)) {
    if (state_ == State::waits || state_ == State::synced) {
      decoder_.decode(received->bytes,
                      [this](std::span<const std::byte> frame) { take_frame(frame); });
    }
  } else if (std::holds_alternative<device::TimerFired>(input) && state_ == State::erasing) {
    state_ = State::synced;
    answer(flash_begin_command, erased_well_ ? good : failed);
  }
  actions_ = nullptr;
}

void EspDevice::restart(bool loader) {
  decoder_.reset();
  attached_ = false;
  writing_ = false;
  size_ = 0;
  syncs_lost_ = 0;
  actions_->push_back(device::Disarm{});
  if (loader) {
    state_ = State::waits;
    say("\r\nrst:0x1 (POWERON),boot:0x4 (DOWNLOAD(USB/UART0/1))\r\nwaiting for download\r\n");
  } else {
    state_ = State::booted;
    say("\r\nrst:0x1 (POWERON),boot:0xc (SPI_FAST_FLASH_BOOT)\r\n");
    actions_->push_back(device::Boot{});
  }
}

void EspDevice::take_lines(const device::ModemLines& lines) {
  if (!board_.is_lined || state_ == State::off) {
    return;
  }
  // Both together do nothing: two transistors drive reset and strap.
  if (lines.rts && !lines.dtr) {
    state_ = State::in_reset;
    actions_->push_back(device::Disarm{});
  } else if (state_ == State::in_reset) {
    restart(lines.dtr && !lines.rts);
  }
}

void EspDevice::say(std::string_view text) {
  const auto bytes = std::as_bytes(std::span{text});
  actions_->push_back(device::Send{.bytes = {bytes.begin(), bytes.end()}});
}

void EspDevice::answer(std::uint8_t command, std::uint8_t reason, std::uint32_t value,
                       std::span<const std::byte> data) {
  const std::size_t status = board_.is_stub ? 2 : 4;
  Writer frame;
  frame.little_endian(std::uint8_t{1});
  frame.little_endian(command);
  frame.little_endian(static_cast<std::uint16_t>(data.size() + status));
  frame.little_endian(value);
  frame.bytes(data);
  frame.little_endian(static_cast<std::uint8_t>(reason == good ? 0 : 1));
  frame.little_endian(reason);
  frame.zeros(status - 2);
  std::vector<std::byte> wire;
  slip::append_encoded(frame.data(), wire);
  actions_->push_back(device::Send{.bytes = std::move(wire)});
}

void EspDevice::take_frame(std::span<const std::byte> frame) {
  if (state_ != State::waits && state_ != State::synced) {
    return;  // Erasing, or gone: within one piece of input.
  }
  Reader reader{frame};
  const auto kind = reader.little_endian<std::uint8_t>();
  const auto command = reader.little_endian<std::uint8_t>();
  const auto size = reader.little_endian<std::uint16_t>();
  const auto sum = reader.little_endian<std::uint32_t>();
  if (!sum || *kind != 0) {
    return;
  }
  if (state_ == State::waits && *command != sync_command) {
    return;
  }
  if (*size != reader.left()) {
    answer(*command, bad_form);
    return;
  }
  run(*command, *sum, *reader.bytes(reader.left()));
}

void EspDevice::run(std::uint8_t command, std::uint32_t sum, std::span<const std::byte> data) {
  switch (command) {
    case sync_command:
      sync();
      break;
    case read_register_command:
      read_register(data);
      break;
    case write_register_command:
      answer(command, data.size() < 16 ? bad_form : good);
      break;
    case spi_attach_command:
      attached_ = attached_ || data.size() >= 4;
      answer(command, data.size() < 4 ? bad_form : good);
      break;
    case spi_size_command:
      set_size(data);
      break;
    case flash_begin_command:
      flash_begin(data);
      break;
    case flash_data_command:
      flash_data(sum, data);
      break;
    case flash_end_command:
      flash_end(data);
      break;
    case md5_command:
      hash(data);
      break;
    case ram_begin_command:
    case ram_data_command:
    case ram_end_command:
      answer(command, failed);
      break;
    case security_command:
      security();
      break;
    default:
      unknown(command);
      break;
  }
}

void EspDevice::sync() {
  if (syncs_lost_ < board_.lost_syncs) {
    ++syncs_lost_;
    return;
  }
  state_ = State::synced;
  constexpr std::uint32_t kRomValue = 0x20120707;
  for (unsigned i = 0; i < kEchoes; ++i) {
    answer(sync_command, good, board_.is_stub ? 0 : kRomValue);
  }
}

void EspDevice::unknown(std::uint8_t command) {
  for (unsigned i = 0; i < (board_.is_stub ? 1 : kEchoes); ++i) {
    answer(command, bad_form);
  }
}

void EspDevice::read_register(std::span<const std::byte> data) {
  Reader reader{data};
  const auto address = reader.little_endian<std::uint32_t>();
  if (!address) {
    answer(read_register_command, bad_form);
    return;
  }
  std::uint32_t value = 0;
  if (*address == kMagicRegister && (board_.chip == kFirstChip || board_.chip == kS2)) {
    value = board_.chip == kFirstChip ? 0x00F01D83 : 0x000007C6;
  }
  answer(read_register_command, good, value);
}

void EspDevice::security() {
  if (board_.chip == kFirstChip) {
    unknown(security_command);
    return;
  }
  Writer info;
  info.zeros(12);
  if (board_.chip != kS2) {
    info.little_endian(board_.chip);
    info.little_endian(std::uint32_t{0});
  }
  answer(security_command, good, 0, info.data());
}

void EspDevice::set_size(std::span<const std::byte> data) {
  Reader reader{data};
  const auto values = words(reader, 6);
  if (!values) {
    answer(spi_size_command, bad_form);
    return;
  }
  size_ = values->at(1);
  answer(spi_size_command, good);
}

void EspDevice::flash_begin(std::span<const std::byte> data) {
  Reader reader{data};
  const auto values = words(reader, 4);
  // Newer ROMs want one word more; a stub does not.
  const bool encrypts = !board_.is_stub && board_.chip != kFirstChip;
  if (!values || (encrypts && reader.left() < 4)) {
    answer(flash_begin_command, bad_form);
    return;
  }
  const std::uint32_t erase = values->at(0);
  blocks_ = values->at(1);
  block_size_ = values->at(2);
  offset_ = values->at(3);
  next_block_ = 0;
  naks_left_ = board_.naks;
  writing_ = attached_ && block_size_ > 0 && block_size_ <= kMostBlock;
  if (!writing_) {
    answer(flash_begin_command, attached_ ? bad_parameter : failed);
    return;
  }
  // The host's word counts, within what is there.
  const bool fits = size_ == 0 || std::uint64_t{offset_} + erase <= size_;
  erased_well_ = fits && flash_.erase(offset_, erase) == Flash::Access::ok;
  writing_ = erased_well_;
  if (board_.erase_time == device::Time{}) {
    answer(flash_begin_command, erased_well_ ? good : failed);
    return;
  }
  state_ = State::erasing;
  actions_->push_back(device::Arm{now_ + board_.erase_time});
}

void EspDevice::flash_data(std::uint32_t sum, std::span<const std::byte> data) {
  Reader reader{data};
  const auto values = words(reader, 4);
  if (!values || values->at(0) != reader.left() || values->at(0) > block_size_) {
    answer(flash_data_command, bad_form);
    return;
  }
  constexpr std::uint8_t kSumStart = 0xEF;
  const auto block = *reader.bytes(reader.left());
  const std::uint32_t number = values->at(1);
  if (recovery::xor_sum(block, kSumStart) != sum) {
    answer(flash_data_command, bad_sum);
  } else if (!writing_ || number != next_block_ || number >= blocks_) {
    answer(flash_data_command, failed);
  } else if (number == board_.nak_block && naks_left_ > 0) {
    --naks_left_;
    answer(flash_data_command, bad_sum);
  } else {
    const std::size_t at = offset_ + std::size_t{number} * block_size_;
    const bool written = flash_.program(at, block) == Flash::Access::ok;
    next_block_ += written ? 1 : 0;
    answer(flash_data_command, written ? good : flash_write);
  }
}

void EspDevice::flash_end(std::span<const std::byte> data) {
  Reader reader{data};
  const auto stays = reader.little_endian<std::uint32_t>();
  answer(flash_end_command, stays ? good : bad_form);
  writing_ = false;
  if (stays && *stays == 0) {
    state_ = State::booted;
    actions_->push_back(device::Boot{});
  }
}

void EspDevice::hash(std::span<const std::byte> data) {
  Reader reader{data};
  const auto values = words(reader, 4);
  if (!values || !attached_) {
    answer(md5_command, values ? failed : bad_form);
    return;
  }
  const std::size_t address = values->at(0);
  const std::size_t size = values->at(1);
  if (address > flash_.size() || size > flash_.size() - address) {
    answer(md5_command, flash_read);
    return;
  }
  auto digest = crypto::md5(flash_.bytes().subspan(address, size));
  if (board_.lies_about_md5) {
    digest.front() ^= std::byte{1};
  }
  if (board_.is_stub) {
    answer(md5_command, good, 0, digest);
  } else {
    const auto digits = to_hex(digest);
    answer(md5_command, good, 0, std::as_bytes(std::span{digits}));
  }
}

bool EspDevice::is_complete() const { return holds(flash_, board_.needed); }

}  // namespace sphere::virtual_board
