// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

namespace sphere::virtual_board {

// The lines that the recovery port drives in bit-bang mode.
struct ControlLines {
  bool reset = false;     // SYSRST_N is low.
  bool recovery = false;  // The strap is high.
  bool led = false;

  [[nodiscard]] bool operator==(const ControlLines&) const = default;
};

// A model of the FT4232H on the boards' USB interface, seen from USB: four ports, each a UART or,
// in bit-bang mode, pins. Logic only: bytes, requests and time come in by calls. As on the chip,
// every IN packet of up to 512 bytes begins with two status bytes, and what has arrived is handed
// over when the event character is in it, a packet is full, or the latency timer has run out.
// Not modelled: MPSSE, the EEPROM, the rates of the UARTs (UartLine has them).
class Ft4232h {
 public:
  using Time = std::chrono::nanoseconds;
  static constexpr std::size_t kPorts = 4;
  static constexpr std::size_t kPacket = 512;
  static constexpr std::size_t kRecoveryPort = 3;

  // What a port was set to, as the requests say it.
  struct PortState {
    std::uint32_t divisor = 0;
    std::uint16_t line = 0;
    std::uint8_t flow = 0;
    std::uint16_t event = 0;
    std::uint8_t latency = 16;
    bool dtr = false;
    bool rts = false;
    std::uint8_t outputs = 0;  // Of bit-bang; 0: UART.
    std::vector<std::byte> to_host;
    std::vector<std::byte> to_board;
    Time last_in = {};
  };

  // A vendor request without data. False stalls it.
  [[nodiscard]] bool request(std::uint8_t number, std::uint16_t value, std::uint16_t index);
  // Bytes for a port.
  void write(std::size_t port, std::span<const std::byte> bytes);
  // The answer to an IN transfer of `length` bytes; nothing as long as it stays open.
  [[nodiscard]] std::optional<std::vector<std::byte>> read(std::size_t port, std::size_t length,
                                                           Time now);

  // Bytes of the board's UART, and those for it.
  void receive(std::size_t port, std::span<const std::byte> bytes);
  [[nodiscard]] std::vector<std::byte> take_sent(std::size_t port);

  [[nodiscard]] const PortState& port(std::size_t port) const { return ports_.at(port); }
  // All states of the lines since the start, without repetitions.
  [[nodiscard]] const std::vector<ControlLines>& lines() const { return lines_; }

 private:
  void set_pins(std::uint8_t pins);

  std::array<PortState, kPorts> ports_ = {};
  std::vector<ControlLines> lines_ = {{}};
};

}  // namespace sphere::virtual_board
