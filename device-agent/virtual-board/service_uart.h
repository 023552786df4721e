// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "device-agent/virtual-board/uart_line.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/result.h"
#include "sphere/slip/stack.h"
#include "sphere/transport/board_link.h"

namespace sphere::virtual_board {

// How the board's service UART comes out of the simulation: its SLIP link with 192.168.35.2.
struct ServiceUartPlan {
  enum class Kind : std::uint8_t { socket, pty, tcp };
  Kind kind = Kind::socket;
  std::uint16_t port = 0;  // Of tcp, on 127.0.0.1.
  std::uint32_t baud = 0;  // Modelled rate of the line; 0: as fast as it goes.
  LineFaults faults = {};
};

// "" (the socket), "pty" or "tcp:PORT". Errors: invalid_argument.
[[nodiscard]] Result<ServiceUartPlan> parse_service_uart(std::string_view text);

// The running service UART. TCP port 443 of the board leads to `runtime`/rest.sock; 2342 and 2345
// lead to 2342.sock and 2345.sock there while an app is debugged. As socket it is
// `runtime`/service.sock; as pty `runtime`/service.tty, a link to the terminal's device. As on a
// real UART there is one user at a time: the next one waits.
class ServiceUart {
 public:
  // Errors: busy (the port is taken), as system_error().
  [[nodiscard]] static Result<std::unique_ptr<ServiceUart>> start(
      const ServiceUartPlan& plan, const std::filesystem::path& runtime);
  ServiceUart(const ServiceUart&) = delete;
  ServiceUart& operator=(const ServiceUart&) = delete;
  ServiceUart(ServiceUart&&) = delete;
  ServiceUart& operator=(ServiceUart&&) = delete;
  ~ServiceUart();

  // "pty /dev/pts/3", "TCP port 5000".
  [[nodiscard]] const std::string& place() const { return place_; }

 private:
  ServiceUart() = default;
  [[nodiscard]] Result<void> open_pty(const ServiceUartPlan& plan);
  [[nodiscard]] Result<void> open_listener(const ServiceUartPlan& plan);
  [[nodiscard]] Result<void> start_link(transport::BoardLink::Config config);

  std::filesystem::path runtime_;
  std::string place_;
  std::filesystem::path name_;  // Of the socket or the pty's link; removed at the end.
  Descriptor slave_;            // Keeps the terminal there between users.
  std::unique_ptr<slip::Stack> stack_;
  std::unique_ptr<transport::BoardLink> link_;
};

}  // namespace sphere::virtual_board
