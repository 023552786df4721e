// SPDX-License-Identifier: MIT
#include "device-agent/virtual-board/recovery/xmodem.h"

#include <cstddef>
#include <span>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "device-agent/virtual-board/recovery/device_side.h"
#include "device-agent/virtual-board/recovery/flash.h"
#include "device-agent/virtual-board/recovery/needed_range.h"
#include "sphere/recovery/xmodem.h"

namespace sphere::virtual_board {

namespace {

using recovery::xmodem::Receiver;

device::Send text(std::string_view words) {
  const auto bytes = std::as_bytes(std::span{words});
  return {.bytes = {bytes.begin(), bytes.end()}};
}

}  // namespace

XmodemDevice::XmodemDevice(XmodemBoard board, Flash flash)
    : board_{std::move(board)}, flash_{std::move(flash)} {}

bool XmodemDevice::is_complete() const {
  return (board_.size == 0 ? stored_ > 0 : stored_ == board_.size) && holds(flash_, board_.needed);
}

void XmodemDevice::restart(device::Time now, device::Actions& actions) {
  stored_ = 0;
  static_cast<void>(flash_.erase(0, flash_.size()));
  receiver_.emplace(Receiver::Config{.size = board_.size == 0 ? flash_.size() : board_.size},
                    [this](std::span<const std::byte> data) {
                      stored_ +=
                          flash_.program(stored_, data) == Flash::Access::ok ? data.size() : 0;
                    });
  receiver_->refuse_next(board_.naks);
  if (!board_.banner.empty()) {
    actions.emplace_back(text(board_.banner));
  }
  std::vector<std::byte> out;
  receiver_->start(now, out);
  actions.emplace_back(device::Send{.bytes = std::move(out)});
}

void XmodemDevice::take(const device::Input& input, device::Time now, device::Actions& actions) {
  std::vector<std::byte> out;
  if (const auto* const power = std::get_if<device::PowerOn>(&input)) {
    receiver_.reset();
    actions.emplace_back(device::Disarm{});
    if (!power->recovery_strap) {
      actions.emplace_back(device::Boot{});
      return;
    }
    restart(now, actions);
  } else if (!receiver_) {
    return;
  } else if (const auto* const received = std::get_if<device::Received>(&input)) {
    static_cast<void>(receiver_->receive(received->bytes, now, out));
  } else if (std::holds_alternative<device::TimerFired>(input)) {
    receiver_->timer(now, out);
  }
  if (!out.empty()) {
    actions.emplace_back(device::Send{.bytes = std::move(out)});
  }
  if (receiver_->state() == Receiver::State::done ||
      receiver_->state() == Receiver::State::failed) {
    finish(actions);
  } else {
    actions.emplace_back(device::Arm{receiver_->deadline()});
  }
}

void XmodemDevice::finish(device::Actions& actions) {
  const bool good = receiver_->state() == Receiver::State::done && is_complete();
  receiver_.reset();
  actions.emplace_back(device::Disarm{});
  actions.emplace_back(text(good ? "+GOOD\r\n" : "-BAD\r\n"));
  if (good) {
    actions.emplace_back(device::Boot{});
  }
}

}  // namespace sphere::virtual_board
