// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "sphere/core/result.h"

namespace sphere::transport {

class SerialPort;

// A stream of bytes to a board and back. Neither read() nor write() blocks; poll descriptor() for
// both. For one thread at a time. The destructor gives the device back as it was found.
class ByteStream {
 public:
  virtual ~ByteStream() = default;

  // For poll(2): readable when read() has something to give (an error, too), writable when write()
  // takes something.
  [[nodiscard]] virtual int descriptor() const = 0;
  // Returns the bytes put into `bytes`, 0 when there are none now. Errors: unavailable
  // (link.unplugged) once the other end or the device is gone.
  [[nodiscard]] virtual Result<std::size_t> read(std::span<std::byte> bytes) = 0;
  // Returns the bytes taken, 0 when there is no room now. Errors: as read().
  [[nodiscard]] virtual Result<std::size_t> write(std::span<const std::byte> bytes) = 0;
  // What a UART has beside its data; null for streams that are none (TCP, in process).
  [[nodiscard]] virtual SerialPort* serial() { return nullptr; }
};

enum class Parity : std::uint8_t { none, odd, even };
enum class FlowControl : std::uint8_t { none, rts_cts };

// Eight data bits, one stop bit.
struct LineSettings {
  std::uint32_t baud = 921600;
  Parity parity = Parity::none;
  FlowControl flow = FlowControl::rts_cts;
  // A byte at which a USB bridge hands over what it has at once. Other ports ignore it.
  std::optional<std::byte> event_character = {};
};

// The service UART: SLIP, whose END ends a packet.
inline constexpr LineSettings kServiceLine = {.event_character = std::byte{0xC0}};

struct LineStatus {
  bool cts = false;
  bool dsr = false;
  bool ring = false;
  bool carrier = false;
  bool drained = true;  // All that was written has left the port.
  std::uint64_t overruns = 0;
  std::uint64_t parity_errors = 0;
  std::uint64_t framing_errors = 0;
};

class SerialPort {
 public:
  virtual ~SerialPort() = default;

  // Errors: unsupported (the port has no such speed or parity, as a pty has no parity), io.
  [[nodiscard]] virtual Result<void> configure(const LineSettings& settings) = 0;
  // Drops what has arrived and was not read.
  [[nodiscard]] virtual Result<void> purge_input() = 0;
  // Errors: unsupported (a pty has no such lines).
  [[nodiscard]] virtual Result<void> set_lines(bool dtr, bool rts) = 0;
  // Errors: as set_lines().
  [[nodiscard]] virtual Result<LineStatus> status() = 0;
};

// Waits for at least one byte. Errors: timeout; as read().
[[nodiscard]] Result<std::size_t> read_some(ByteStream& stream, std::span<std::byte> bytes,
                                            std::chrono::milliseconds limit);
// Writes all. Errors: timeout when nothing is taken for `limit`; as write().
[[nodiscard]] Result<void> write_all(ByteStream& stream, std::span<const std::byte> bytes,
                                     std::chrono::milliseconds limit);

// A stream over a connected socket or any other descriptor that is read and written; `name` is for
// errors ("tcp-localhost-5000"). Sets O_NONBLOCK.
[[nodiscard]] std::unique_ptr<ByteStream> make_descriptor_stream(int descriptor, std::string name);

// Two ends of a wire within this process.
[[nodiscard]] Result<std::pair<std::unique_ptr<ByteStream>, std::unique_ptr<ByteStream>>>
make_pipe();

}  // namespace sphere::transport
