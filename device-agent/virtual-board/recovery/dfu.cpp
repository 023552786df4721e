// SPDX-License-Identifier: MIT
#include "device-agent/virtual-board/recovery/dfu.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>

#include "device-agent/virtual-board/recovery/device_side.h"
#include "device-agent/virtual-board/recovery/flash.h"
#include "device-agent/virtual-board/recovery/needed_range.h"
#include "sphere/core/reader.h"
#include "sphere/core/writer.h"
#include "sphere/recovery/driver.h"

namespace sphere::virtual_board {

namespace {

constexpr std::uint8_t kToDevice = 0x21;
constexpr std::uint8_t kToHost = 0xA1;
constexpr std::uint8_t kGood = 0x00;
constexpr std::uint8_t kErrorTarget = 0x01;
constexpr std::uint8_t kErrorWrite = 0x03;
constexpr std::uint8_t kErrorErase = 0x04;
constexpr std::uint8_t kErrorAddress = 0x08;
constexpr std::uint8_t kErrorStalled = 0x0F;
constexpr std::byte kSetPointer{0x21};
constexpr std::byte kErase{0x41};
constexpr std::byte kReadUnprotect{0x92};
constexpr std::size_t kOutside = ~std::size_t{0};

enum Request : std::uint8_t {
  detach = 0,
  download_block = 1,
  upload_block = 2,
  status = 3,
  clear_status = 4,
  state_only = 5,
  abort_transfer = 6,
};

}  // namespace

DfuDevice::DfuDevice(DfuBoard board, Flash flash)
    : board_{std::move(board)}, flash_{std::move(flash)} {}

void DfuDevice::take(const device::Input& input, device::Time now, device::Actions& actions) {
  actions_ = &actions;
  now_ = now;
  if (std::holds_alternative<device::PowerOn>(input)) {
    state_ = board_.is_running ? State::app_idle : State::idle;
    status_ = kGood;
    gone_ = false;
    leaves_ = false;
    pointer_ = board_.flash_address;
    actions.push_back(device::Disarm{});
  } else if (const auto* const request = std::get_if<device::ControlRequest>(&input)) {
    take_request(*request);
  }
  actions_ = nullptr;
}

void DfuDevice::answer(recovery::Tag tag, std::vector<std::byte> bytes) {
  actions_->push_back(device::ControlAnswer{
      .tag = tag, .result = recovery::UsbResult::ok, .bytes = std::move(bytes)});
}

void DfuDevice::stall(recovery::Tag tag, std::uint8_t why) {
  if (state_ != State::app_idle) {
    state_ = State::error;
    status_ = why;
  }
  actions_->push_back(
      device::ControlAnswer{.tag = tag, .result = recovery::UsbResult::stall, .bytes = {}});
}

void DfuDevice::take_request(const device::ControlRequest& request) {
  const auto& setup = request.setup;
  const bool out = setup.request == detach || setup.request == download_block ||
                   setup.request == clear_status || setup.request == abort_transfer;
  if (gone_ || setup.request > abort_transfer ||
      setup.request_type != (out ? kToDevice : kToHost)) {
    stall(request.tag, kErrorStalled);
    return;
  }
  const bool idle = state_ == State::idle || state_ == State::download_sync ||
                    state_ == State::download_idle || state_ == State::manifest_sync ||
                    state_ == State::upload_idle;
  if (setup.request == status) {
    get_status(request.tag);
  } else if (setup.request == state_only) {
    answer(request.tag, {static_cast<std::byte>(state_)});
  } else if (setup.request == detach && state_ == State::app_idle) {
    answer(request.tag, {});
    state_ = State::idle;
    actions_->push_back(device::Reenumerate{.vendor = board_.vendor,
                                            .product = board_.product,
                                            .after = std::chrono::milliseconds{500}});
  } else if (setup.request == clear_status && state_ == State::error) {
    state_ = State::idle;
    status_ = kGood;
    answer(request.tag, {});
  } else if (setup.request == abort_transfer && idle) {
    state_ = State::idle;
    answer(request.tag, {});
  } else if (setup.request == download_block) {
    download(request);
  } else if (setup.request == upload_block) {
    upload(request);
  } else {
    stall(request.tag, kErrorStalled);
  }
}

void DfuDevice::download(const device::ControlRequest& request) {
  const bool ready = state_ == State::idle || state_ == State::download_idle;
  const bool empty = request.bytes.empty();
  if (!ready || request.bytes.size() > board_.transfer_size ||
      (empty && !board_.dfuse && state_ == State::idle)) {
    stall(request.tag, kErrorStalled);
    return;
  }
  if (state_ == State::idle) {
    offset_ = 0;
    erased_to_ = 0;
  }
  if (empty) {
    leaves_ = board_.dfuse;
    state_ = State::manifest_sync;
    ready_at_ = {};
    answer(request.tag, {});
    return;
  }
  block_ = request.setup.value;
  data_.assign(request.bytes.begin(), request.bytes.end());
  state_ = State::download_sync;
  ready_at_ = {};
  answer(request.tag, {});
}

void DfuDevice::upload(const device::ControlRequest& request) {
  const bool ready = state_ == State::idle || state_ == State::upload_idle;
  if (!ready || !board_.can_upload) {
    stall(request.tag, kErrorStalled);
    return;
  }
  if (state_ == State::idle) {
    offset_ = 0;
  }
  state_ = State::upload_idle;
  if (board_.dfuse && request.setup.value == 0) {
    answer(request.tag, {std::byte{0}, kSetPointer, kErase, kReadUnprotect});
    return;
  }
  std::size_t offset = offset_;
  if (board_.dfuse) {
    const std::size_t base = se_offset(pointer_);
    offset = base == kOutside || request.setup.value < 2
                 ? kOutside
                 : base + std::size_t{request.setup.value - 2U} * board_.transfer_size;
  }
  if (offset > flash_.size()) {
    stall(request.tag, kErrorAddress);
    return;
  }
  const std::size_t wanted = std::min<std::size_t>(request.setup.length, board_.transfer_size);
  const auto bytes = flash_.bytes().subspan(offset, std::min(wanted, flash_.size() - offset));
  offset_ = offset + bytes.size();
  if (bytes.size() < request.setup.length) {
    state_ = State::idle;
  }
  answer(request.tag, {bytes.begin(), bytes.end()});
}

// Work is done when the host asks for the status behind a block, as the standard has it.
void DfuDevice::get_status(recovery::Tag tag) {
  device::Time poll = {};
  if (state_ == State::download_busy && now_ < ready_at_) {
    stall(tag, kErrorStalled);
    return;
  }
  if (state_ == State::download_busy || (state_ == State::manifest && now_ >= ready_at_)) {
    finish_work();
  } else if (state_ == State::download_sync) {
    const bool erases = board_.dfuse && block_ == 0 && data_.front() == kErase;
    status_ = run_block();
    begin_work(erases ? board_.erase_time : board_.write_time, State::download_busy);
  } else if (state_ == State::manifest_sync) {
    begin_work(board_.manifest_time, State::manifest);
  }
  if (state_ == State::download_busy || state_ == State::manifest) {
    poll = ready_at_ - now_;
  }
  const auto milliseconds = static_cast<std::uint32_t>(
      std::chrono::ceil<std::chrono::milliseconds>(std::max(poll, device::Time{})).count());
  Writer writer;
  writer.little_endian(status_)
      .little_endian(static_cast<std::uint16_t>(milliseconds & 0xFFFFU))
      .little_endian(static_cast<std::uint8_t>(milliseconds >> 16U))
      .little_endian(static_cast<std::uint8_t>(state_))
      .little_endian<std::uint8_t>(0);
  answer(tag, std::move(writer).take());
  if (leaves_ && state_ == State::manifest) {
    leave();
  }
}

void DfuDevice::begin_work(device::Time time, State busy) {
  if (status_ != kGood) {
    state_ = State::error;
    return;
  }
  state_ = busy;
  ready_at_ = now_ + time;
  // With DfuSe hosts expect to hear of each work that it is going on, as of silicon.
  if (time == device::Time{} && !board_.dfuse) {
    finish_work();
  }
}

void DfuDevice::finish_work() {
  if (state_ == State::download_busy) {
    state_ = State::download_idle;
  } else if (board_.tolerant) {
    state_ = State::idle;
  } else {
    state_ = State::manifest_wait_reset;
    leave();
  }
}

void DfuDevice::leave() {
  gone_ = board_.dfuse;
  actions_->push_back(device::Boot{});
}

std::uint8_t DfuDevice::run_block() {
  if (!board_.dfuse) {
    const std::uint8_t result = write(offset_, true);
    offset_ += data_.size();
    return result;
  }
  if (block_ == 0) {
    return run_command();
  }
  const std::size_t base = se_offset(pointer_);
  if (block_ == 1 || base == kOutside) {
    return kErrorAddress;
  }
  return write(base + std::size_t{block_ - 2U} * board_.transfer_size, false);
}

std::uint8_t DfuDevice::run_command() {
  Reader reader{std::span{data_}.subspan(1)};
  const auto address = reader.little_endian<std::uint32_t>();
  const bool alone = data_.size() == 1;
  if (data_[0] == kSetPointer && address) {
    pointer_ = *address;
    return se_offset(*address) == kOutside ? kErrorAddress : kGood;
  }
  if (data_[0] == kErase && alone) {
    return flash_.erase(0, flash_.size()) == Flash::Access::ok ? kGood : kErrorErase;
  }
  if (data_[0] == kErase && address) {
    const std::size_t offset = se_offset(*address);
    if (offset == kOutside) {
      return kErrorAddress;
    }
    return flash_.erase(offset, 1) == Flash::Access::ok ? kGood : kErrorErase;
  }
  return kErrorTarget;
}

std::uint8_t DfuDevice::write(std::size_t offset, bool erases) {
  if (offset > flash_.size() || data_.size() > flash_.size() - offset) {
    return kErrorAddress;
  }
  const std::size_t end = offset + data_.size();
  while (erases && erased_to_ < end) {
    if (flash_.erase(erased_to_, flash_.sector()) != Flash::Access::ok) {
      return kErrorErase;
    }
    erased_to_ += flash_.sector();
  }
  return flash_.program(offset, data_) == Flash::Access::ok ? kGood : kErrorWrite;
}

std::size_t DfuDevice::se_offset(std::uint32_t address) const {
  return address >= board_.flash_address && address - board_.flash_address < flash_.size()
             ? address - board_.flash_address
             : kOutside;
}

std::vector<std::byte> DfuDevice::descriptor() const {
  // Download, upload, tolerant, will detach.
  const unsigned attributes = 1U | (board_.can_upload ? 2U : 0U) | (board_.tolerant ? 4U : 0U) | 8U;
  Writer writer;
  writer.little_endian<std::uint8_t>(9)
      .little_endian<std::uint8_t>(0x21)
      .little_endian(static_cast<std::uint8_t>(attributes))
      .little_endian<std::uint16_t>(1000)
      .little_endian(board_.transfer_size)
      .little_endian<std::uint16_t>(board_.dfuse ? 0x011A : 0x0110);
  return std::move(writer).take();
}

std::string DfuDevice::memory_text() const {
  if (!board_.dfuse) {
    return "Flash";
  }
  // A page of whole KiB that can be read, erased and written.
  return fmt::format("@Internal Flash  /0x{:08x}/{:02}*{:03}Kg", board_.flash_address,
                     flash_.size() / flash_.sector(), flash_.sector() / 1024);
}

bool DfuDevice::is_complete() const { return holds(flash_, board_.needed); }

}  // namespace sphere::virtual_board
