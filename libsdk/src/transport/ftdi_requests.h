// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "sphere/transport/byte_stream.h"
#include "sphere/transport/usb.h"

namespace sphere::transport {

// Vendor requests of FTDI's chips of the H series, as the kernel's ftdi_sio driver and FTDI's
// notes AN232B-03 and -04 show them. wIndex has the port (1 to 4) in its low byte.
enum class FtdiRequest : std::uint8_t {
  reset = 0x00,
  modem_control = 0x01,
  flow_control = 0x02,
  baud_rate = 0x03,
  line = 0x04,
  event_character = 0x06,
  latency_timer = 0x09,
  bit_mode = 0x0B,
};

// A set-up packet without data, to the device.
struct FtdiSetup {
  FtdiRequest request;
  std::uint16_t value;
  std::uint16_t index;

  [[nodiscard]] bool operator==(const FtdiSetup&) const = default;
};

// Divisor of 12 MHz for a rate: bits 0 to 13 whole, 14 to 16 coded eighths, 17 "high speed".
[[nodiscard]] std::uint32_t ftdi_divisor(std::uint32_t baud);

// What is sent when a port is opened, in order: reset, purge, latency timer of 1 ms, event
// character, format, flow control, DTR and RTS on, rate.
[[nodiscard]] std::vector<FtdiSetup> opening_requests(FtdiPort port, const LineSettings& settings);
// For a port that is open.
[[nodiscard]] std::vector<FtdiSetup> line_requests(FtdiPort port, const LineSettings& settings);
[[nodiscard]] FtdiSetup purge_input_request(FtdiPort port);
[[nodiscard]] std::array<FtdiSetup, 2> modem_requests(FtdiPort port, bool dtr, bool rts);
// `outputs` = 0 gives the pins back to the UART.
[[nodiscard]] FtdiSetup bit_mode_request(FtdiPort port, std::uint8_t outputs);

// Bits of the two status bytes in front of every IN packet.
struct FtdiStatus {
  std::uint8_t modem = 0;  // 4 CTS, 5 DSR, 6 RI, 7 DCD
  std::uint8_t line = 0;   // 1 overrun, 2 parity, 3 framing, 6 transmitter empty
};

// Takes the status bytes out of an IN transfer that consists of packets of `packet_size` bytes,
// each but the last full. Calls `data` for each packet that has any, with its status. Returns the
// last status; nothing changes for fewer than two bytes.
FtdiStatus split_packets(std::span<const std::byte> transfer, std::size_t packet_size,
                         FtdiStatus before,
                         const std::function<void(FtdiStatus, std::span<const std::byte>)>& data);

}  // namespace sphere::transport
