// SPDX-License-Identifier: MIT
#include "tests/support/usb-skin/recovery_port.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "device-agent/virtual-board/ft4232h.h"
#include "device-agent/virtual-board/recovery/device_side.h"
#include "device-agent/virtual-board/recovery/faults.h"
#include "libsdk/src/transport/ftdi_requests.h"

namespace sphere::test {

namespace {

namespace device = virtual_board::device;
using virtual_board::Ft4232h;
using virtual_board::WireSide;

constexpr std::byte kGarbled{0xF8};

}  // namespace

RecoveryPort::RecoveryPort(Config config)
    : config_{std::move(config)}, faults_{config_.faults, config_.seed} {}

// Whether both ends have the same speed.
bool RecoveryPort::hears(const Ft4232h& chip) const {
  return chip.port(Ft4232h::kRecoveryPort).divisor == transport::ftdi_divisor(baud_);
}

void RecoveryPort::send(std::vector<std::byte> bytes, Ft4232h& chip) {
  auto passed = faults_.pass(WireSide::out, bytes);
  if (!hears(chip)) {
    std::ranges::fill(passed.bytes, kGarbled);
  }
  // Where the pins are bit-bang pins, no UART receives.
  if (chip.port(Ft4232h::kRecoveryPort).outputs == 0) {
    chip.receive(Ft4232h::kRecoveryPort, passed.bytes);
  }
  if (passed.unplug) {
    unplugged_ = passed.back_after.value_or(Time::max());
  }
}

void RecoveryPort::give(const device::Input& input, Ft4232h& chip, Time now) {
  device::Actions actions;
  config_.board->take(input, now, actions);
  for (const auto& action : actions) {
    if (const auto* const what = std::get_if<device::Send>(&action)) {
      send(what->bytes, chip);
    } else if (const auto* const line = std::get_if<device::SetLine>(&action)) {
      baud_ = line->settings.baud;
    } else if (const auto* const arm = std::get_if<device::Arm>(&action)) {
      deadline_ = arm->deadline;
    } else if (std::holds_alternative<device::Disarm>(action)) {
      deadline_.reset();
    } else if (std::holds_alternative<device::Boot>(action)) {
      ++boots_;
    }
  }
}

// The board begins anew at the end of each reset, with the strap as it is then.
void RecoveryPort::follow_lines(Ft4232h& chip, Time now) {
  const auto lines = chip.lines();
  for (; seen_lines_ < lines.size(); ++seen_lines_) {
    if (lines[seen_lines_].reset) {
      is_on_ = false;
      deadline_.reset();
    } else if (lines[seen_lines_ - 1].reset) {
      ++resets_;
      is_on_ = true;
      baud_ = 115200;
      const bool strap = lines[seen_lines_].recovery && resets_ > config_.wrong_straps;
      give(device::PowerOn{.recovery_strap = strap}, chip, now);
    }
  }
}

std::optional<RecoveryPort::Time> RecoveryPort::move(Ft4232h& chip, Time now) {
  follow_lines(chip, now);
  const auto sent = chip.take_sent(Ft4232h::kRecoveryPort);
  if (is_on_ && !sent.empty()) {
    auto passed = faults_.pass(WireSide::in, sent);
    if (!hears(chip)) {
      std::ranges::fill(passed.bytes, kGarbled);
    }
    give(device::Received{.bytes = passed.bytes}, chip, now);
    if (passed.unplug) {
      unplugged_ = passed.back_after.value_or(Time::max());
    }
  }
  if (is_on_ && deadline_ && now >= *deadline_) {
    deadline_.reset();
    give(device::TimerFired{}, chip, now);
  }
  if (unplugged_) {
    is_on_ = false;
    deadline_.reset();
  }
  return std::exchange(unplugged_, std::nullopt);
}

}  // namespace sphere::test
