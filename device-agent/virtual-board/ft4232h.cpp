// SPDX-License-Identifier: MIT
#include "device-agent/virtual-board/ft4232h.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace sphere::virtual_board {

namespace {

constexpr std::byte kModemStatus{0x31};  // CTS, DSR, and the bits that are always set.
constexpr std::byte kTransmitterEmpty{0x60};
constexpr std::size_t kStatus = 2;
constexpr std::chrono::milliseconds kIdle{16};  // Between two transfers without data.

constexpr std::uint8_t kReset = 0x00;
constexpr std::uint8_t kModemControl = 0x01;
constexpr std::uint8_t kFlowControl = 0x02;
constexpr std::uint8_t kBaudRate = 0x03;
constexpr std::uint8_t kLine = 0x04;
constexpr std::uint8_t kEventCharacter = 0x06;
constexpr std::uint8_t kLatency = 0x09;
constexpr std::uint8_t kBitMode = 0x0B;

constexpr std::uint8_t kLedPin = 0x10;
constexpr std::uint8_t kRecoveryPin = 0x20;
constexpr std::uint8_t kResetPin = 0x40;

bool has_event(const Ft4232h::PortState& port) {
  constexpr std::uint16_t kEnabled = 0x0100;
  return (port.event & kEnabled) != 0 &&
         std::ranges::find(port.to_host, static_cast<std::byte>(port.event & 0xFFU)) !=
             port.to_host.end();
}

void purge(Ft4232h::PortState& port, std::uint16_t what) {
  if (what != 2) {
    port.to_host.clear();
  }
  if (what != 1) {
    port.to_board.clear();
  }
}

void set_modem(Ft4232h::PortState& port, std::uint16_t value) {
  if ((value & 0x0100U) != 0) {
    port.dtr = (value & 1U) != 0;
  }
  if ((value & 0x0200U) != 0) {
    port.rts = (value & 2U) != 0;
  }
}

}  // namespace

bool Ft4232h::request(std::uint8_t number, std::uint16_t value, std::uint16_t index) {
  const std::size_t which = (index & 0xFFU) - 1U;
  if (which >= kPorts) {
    return false;
  }
  PortState& port = ports_.at(which);
  const auto high = static_cast<std::uint8_t>(index >> 8U);
  switch (number) {
    case kReset:
      purge(port, value);
      return value <= 2;
    case kModemControl:
      set_modem(port, value);
      return true;
    case kFlowControl:
      port.flow = high;
      return true;
    case kBaudRate:
      port.divisor = value | static_cast<std::uint32_t>(high) << 16U;
      return true;
    case kLine:
      port.line = value;
      return true;
    case kEventCharacter:
      port.event = value;
      return true;
    case kLatency:
      port.latency = static_cast<std::uint8_t>(value);
      return value >= 1 && value <= 255;
    case kBitMode:
      port.outputs = value >> 8U == 1 ? static_cast<std::uint8_t>(value & 0xFFU) : 0;
      if (which == kRecoveryPort && port.outputs == 0) {
        set_pins(kResetPin);  // The board's resistors decide.
      }
      return value >> 8U <= 1;
    default:
      return false;
  }
}

void Ft4232h::set_pins(std::uint8_t pins) {
  const ControlLines lines{.reset = (pins & kResetPin) == 0,
                           .recovery = (pins & kRecoveryPin) != 0,
                           .led = (pins & kLedPin) != 0};
  if (lines_.back() != lines) {
    lines_.push_back(lines);
  }
}

void Ft4232h::write(std::size_t port, std::span<const std::byte> bytes) {
  PortState& state = ports_.at(port);
  if (state.outputs == 0) {
    state.to_board.insert(state.to_board.end(), bytes.begin(), bytes.end());
    return;
  }
  for (const std::byte byte : bytes) {
    // A pin that is no output has the level of the board's resistor: reset high, strap low.
    const auto driven = static_cast<std::uint8_t>(std::to_integer<unsigned>(byte) & state.outputs);
    const auto idle = static_cast<std::uint8_t>(kResetPin & ~static_cast<unsigned>(state.outputs));
    if (port == kRecoveryPort) {
      set_pins(static_cast<std::uint8_t>(driven | idle));
    }
  }
}

std::optional<std::vector<std::byte>> Ft4232h::read(std::size_t port, std::size_t length,
                                                    Time now) {
  PortState& state = ports_.at(port);
  const auto waited = now - state.last_in;
  const bool due = state.to_host.empty()
                       ? waited >= kIdle
                       : state.to_host.size() >= kPacket - kStatus || has_event(state) ||
                             waited >= std::chrono::milliseconds{state.latency};
  if (!due || length < kStatus) {
    return std::nullopt;
  }
  state.last_in = now;
  std::vector<std::byte> transfer;
  do {
    const std::size_t room = std::min(kPacket, length - transfer.size()) - kStatus;
    const std::size_t count = std::min(room, state.to_host.size());
    transfer.push_back(kModemStatus);
    transfer.push_back(kTransmitterEmpty);
    transfer.insert(transfer.end(), state.to_host.begin(),
                    state.to_host.begin() + static_cast<std::ptrdiff_t>(count));
    state.to_host.erase(state.to_host.begin(),
                        state.to_host.begin() + static_cast<std::ptrdiff_t>(count));
    if (count < kPacket - kStatus) {
      break;  // A short packet ends the transfer.
    }
  } while (!state.to_host.empty() && length - transfer.size() > kStatus);
  return transfer;
}

void Ft4232h::receive(std::size_t port, std::span<const std::byte> bytes) {
  auto& waiting = ports_.at(port).to_host;
  waiting.insert(waiting.end(), bytes.begin(), bytes.end());
}

std::vector<std::byte> Ft4232h::take_sent(std::size_t port) {
  return std::exchange(ports_.at(port).to_board, {});
}

}  // namespace sphere::virtual_board
