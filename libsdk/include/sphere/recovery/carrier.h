// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "sphere/core/result.h"
#include "sphere/recovery/driver.h"
#include "sphere/recovery/table.h"
#include "sphere/transport/byte_stream.h"
#include "sphere/transport/usb.h"
#include "sphere/transport/usb_pipes.h"

namespace sphere::recovery {

// The way to one board: a stream, or the pipes of a USB interface, with what drives reset and strap
// if there is any. It can be opened again at the same place after the board was gone.
class Carrier {
 public:
  virtual ~Carrier() = default;

  // Errors: as transport::open(), transport::open_ftdi(), transport::UsbPipes::open().
  [[nodiscard]] virtual Result<void> open() = 0;
  virtual void close() = 0;
  // While it is open, one of these two is not null. run_lines() may change them.
  [[nodiscard]] virtual transport::ByteStream* stream() { return nullptr; }
  [[nodiscard]] virtual transport::UsbPipes* pipes() { return nullptr; }
  // Valid once open() succeeded.
  [[nodiscard]] virtual const Attached& attached() const = 0;
  // Runs a sequence on reset and strap. False: nothing here can drive them; a person must.
  [[nodiscard]] virtual Result<bool> run_lines(std::span<const transport::LineStep> steps);
  // Opens a device that has gone as announced and may be back; false: not yet.
  [[nodiscard]] virtual bool come_back(const ExpectReenumeration& expected);
};

// The recovery port of the FT4232H at a USB location. With `manual` a person works the lines.
[[nodiscard]] std::unique_ptr<Carrier> make_ftdi_carrier(std::string location, bool manual);
// The interface of the device at a USB location that fits one of the protocol's rows.
[[nodiscard]] std::unique_ptr<Carrier> make_usb_carrier(std::string location,
                                                        const Protocol& protocol,
                                                        std::uint8_t alternate);
// A stream without lines: a serial device, TCP, a pipe of this process. `open` gives it, again
// after the board was gone.
using OpenStream = std::function<Result<std::unique_ptr<transport::ByteStream>>()>;
[[nodiscard]] std::unique_ptr<Carrier> make_stream_carrier(OpenStream open, bool is_tcp);

}  // namespace sphere::recovery
