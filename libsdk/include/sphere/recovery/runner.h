// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "sphere/core/clock.h"
#include "sphere/core/result.h"
#include "sphere/recovery/driver.h"
#include "sphere/recovery/file_set.h"
#include "sphere/transport/byte_stream.h"
#include "sphere/transport/usb.h"

namespace sphere::recovery {

// A stream to a board's recovery UART, with what drives its reset and strap.
class Carrier {
 public:
  virtual ~Carrier() = default;

  [[nodiscard]] virtual transport::ByteStream& stream() = 0;
  // Runs a sequence on reset and strap. False: nothing here can drive them; a person must. The
  // stream may be another one afterwards.
  [[nodiscard]] virtual Result<bool> run_lines(std::span<const transport::LineStep> steps) = 0;
};

// The recovery port of the FT4232H at a USB location. With `manual` a person works the lines.
// Errors: as transport::open_ftdi().
[[nodiscard]] Result<std::unique_ptr<Carrier>> open_ftdi_carrier(std::string location, bool manual);
// A stream without lines: a serial device, TCP.
[[nodiscard]] std::unique_ptr<Carrier> make_stream_carrier(
    std::unique_ptr<transport::ByteStream> stream);

struct RunnerConfig {
  const Clock& clock;
  const FileSet& files;
  // Gets each event with its time since the start.
  std::function<void(const Event&, Time)> sink;
  // True when the user pressed Ctrl-C.
  std::function<bool()> cancelled = {};
  // For the whole run.
  Time limit = std::chrono::minutes{15};
  // Sees all that goes over the stream, for a log: true is to the board.
  std::function<void(bool, std::span<const std::byte>)> tap = {};
};

// Lets a driver work on a carrier until it finishes. An error of the carrier is a lost link for the
// driver; waits longer than 2 s are told as Waiting, then every 5 s. Drivers for USB need more than
// a stream: their transfers are answered with `gone`.
[[nodiscard]] Outcome run_driver(Driver& driver, Carrier& carrier, const RunnerConfig& config);

}  // namespace sphere::recovery
