// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "sphere/recovery/driver.h"
#include "sphere/transport/byte_stream.h"

namespace sphere::virtual_board {

// The device side of a recovery protocol has the shape of its client (sphere/recovery/driver.h):
// inputs and the time in, actions out, no I/O.
namespace device {

using recovery::Tag;
using recovery::Time;
using recovery::UsbResult;
using recovery::UsbSetup;

// --- Inputs. Spans are valid during the call only. ---

struct PowerOn {  // Also after a reset. Everything but flash and fuses is as new.
  bool recovery_strap = true;
};
struct Received {  // UART, bulk OUT, TCP.
  std::span<const std::byte> bytes;
};
struct ControlRequest {  // Answer each with one ControlAnswer of its tag.
  UsbSetup setup;
  std::span<const std::byte> bytes;  // Of OUT transfers.
  Tag tag = 0;
};
struct ReportOut {  // HID, by SET_REPORT or interrupt OUT.
  std::uint8_t id = 0;
  std::span<const std::byte> bytes;
};
struct ModemLines {  // The host set its DTR and RTS.
  bool dtr = false;
  bool rts = false;
};
struct TimerFired {};

using Input = std::variant<PowerOn, Received, ControlRequest, ReportOut, ModemLines, TimerFired>;

// --- Actions. ---

struct Send {  // UART, bulk IN, TCP. On USB each is one transfer of its own.
  std::vector<std::byte> bytes;
};
struct ControlAnswer {
  Tag tag = 0;
  UsbResult result = UsbResult::ok;
  std::vector<std::byte> bytes = {};
};
struct ReportIn {  // HID, interrupt IN.
  std::uint8_t id = 0;
  std::vector<std::byte> bytes;
};
struct SetLine {  // Of the device's UART; takes effect once what was sent before is on the wire.
  transport::LineSettings settings;
};
struct Arm {  // Replaces the timer in force.
  Time deadline = {};
};
struct Disarm {};
struct Reenumerate {  // Leaves the bus and comes back with these ids after `after`.
  std::uint16_t vendor = 0;
  std::uint16_t product = 0;
  Time after = {};
};
struct Boot {};  // The board leaves its ROM or loader for what flash holds.
struct Log {
  std::string text;
};

using Action =
    std::variant<Send, ControlAnswer, ReportIn, SetLine, Arm, Disarm, Reenumerate, Boot, Log>;
using Actions = std::vector<Action>;

}  // namespace device

class Flash;

class DeviceSide {
 public:
  virtual ~DeviceSide() = default;

  virtual void take(const device::Input& input, device::Time now, device::Actions& actions) = 0;
  // What the board keeps without power.
  [[nodiscard]] virtual Flash& flash() = 0;
  // Whether flash holds all of what this board needs, as its own boot code checks it.
  [[nodiscard]] virtual bool is_complete() const = 0;
};

}  // namespace sphere::virtual_board
