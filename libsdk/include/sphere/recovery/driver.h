// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "sphere/core/result.h"
#include "sphere/recovery/event.h"
#include "sphere/transport/byte_stream.h"
#include "sphere/transport/usb.h"

namespace sphere::recovery {

// A recovery protocol's client is a state machine without I/O: it gets inputs and the time, and
// appends actions. It never sleeps, opens, or reads a file or a clock. The same object serves a
// real board, tests in virtual time, and fuzzers. Rules that every driver keeps:
//
//   - after each take() either an Arm is in force or Finish was given: no wait without a limit
//   - a length from the device is checked against the bytes there and a cap before it is used
//   - at most 1 MiB of device data is held
//   - after Finish every input is ignored
using Tag = std::uint32_t;  // Chosen by the driver; pairs an answer with its request.

// The setup packet of a USB control transfer.
struct UsbSetup {
  std::uint8_t request_type = 0;
  std::uint8_t request = 0;
  std::uint16_t value = 0;
  std::uint16_t index = 0;
  std::uint16_t length = 0;

  [[nodiscard]] bool operator==(const UsbSetup&) const = default;
};

enum class UsbResult : std::uint8_t { ok, stall, timeout, gone };

// --- Inputs. Spans are valid during the call only. ---

struct Start {};   // Once, first.
struct Received {  // UART, bulk IN, TCP: any cut of the stream.
  std::span<const std::byte> bytes;
};
struct ReportIn {  // HID, interrupt IN.
  std::uint8_t id = 0;
  std::span<const std::byte> bytes;
};
struct ControlReply {  // Also for SetReport.
  Tag tag = 0;
  UsbResult result = UsbResult::ok;
  std::span<const std::byte> bytes;
};
struct Sent {  // A Send with `drain` has left the wire.
  Tag tag = 0;
};
struct FileData {  // Answer to NeedFile: exactly the bytes asked for.
  Tag tag = 0;
  std::span<const std::byte> bytes;
};
struct FileFailed {
  Tag tag = 0;
  Error error;
};
struct TimerFired {};  // The deadline of the last Arm has passed.
struct LinkLost {};
struct LinkBack {
  std::uint16_t vendor = 0;
  std::uint16_t product = 0;
  std::string location = {};
};
struct Cancelled {};  // The user pressed Ctrl-C.

using Input = std::variant<Start, Received, ReportIn, ControlReply, Sent, FileData, FileFailed,
                           TimerFired, LinkLost, LinkBack, Cancelled>;

// --- Actions. ---

struct Send {  // UART, bulk OUT, TCP. An empty one is a zero-length packet on USB.
  std::vector<std::byte> bytes;
  Tag tag = 0;
  bool drain = false;  // Asks for Sent.
};
struct ControlTransfer {
  UsbSetup setup;
  std::vector<std::byte> bytes = {};  // Of OUT transfers.
  Tag tag = 0;
};
struct SetReport {
  std::uint8_t id = 0;
  std::vector<std::byte> bytes;
  Tag tag = 0;
};
struct ReadBulk {  // USB only: wants up to so many bytes. Streams are read all the time.
  std::size_t length = 0;
};
struct SetLine {
  transport::LineSettings settings;
  bool purge_input = false;
};
struct SetModemLines {
  bool dtr = false;
  bool rts = false;
};
struct RunLines {  // Reset and strap; where nothing can drive them, a person is told.
  std::span<const transport::LineStep> steps;
};
struct NeedFile {  // Only names of the checked set are answered with data.
  std::string name;
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  Tag tag = 0;
};
struct Arm {  // Replaces the timer in force. `reason` is shown: "waiting for the flash".
  Time deadline = {};
  std::string reason = {};
};
struct Emit {
  Event event;
};
struct ExpectReenumeration {  // The device goes away and comes back, maybe under other ids.
  std::optional<std::uint16_t> vendor = {};  // Nothing: any at the same port path.
  std::optional<std::uint16_t> product = {};
  Time within = {};
  bool reset = false;  // The host resets the device, which does not go by itself.
};
struct Finish {
  Outcome outcome;
};

using Action = std::variant<Send, ControlTransfer, SetReport, ReadBulk, SetLine, SetModemLines,
                            RunLines, NeedFile, Arm, Emit, ExpectReenumeration, Finish>;
using Actions = std::vector<Action>;

class Driver {
 public:
  virtual ~Driver() = default;

  // Takes one input and appends what is to be done, in this order. `now` never goes back.
  virtual void take(const Input& input, Time now, Actions& actions) = 0;
};

}  // namespace sphere::recovery
