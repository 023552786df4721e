// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "sphere/core/result.h"
#include "sphere/transport/byte_stream.h"

namespace sphere::transport {

enum class PlaceKind : std::uint8_t { usb, tty, tcp, virtual_board };
[[nodiscard]] std::string_view to_text(PlaceKind kind);

// Where a board's service UART is reached.
struct Place {
  PlaceKind kind = PlaceKind::usb;
  // usb: bus and port numbers, "1-2.4.3"; tty: the device's path; tcp: "host:port"; virtual board:
  // the path of its socket.
  std::string target;
  std::string name = {};  // Of a virtual board.
};

// The name that --device takes:
//
//   usb  "1-2.4.3" is 1243; 1-2-4-13 when a number is above 9
//   tty  /dev/ttyUSB2 is tty-ttyUSB2, /dev/pts/4 is tty-pts-4
//   tcp  localhost:5000 is tcp-localhost-5000
//   virtual board  demo is vb-demo
[[nodiscard]] std::string connection_path(const Place& place);

// The place that a connection path of a tty or TCP link names; nothing for other texts. Whether
// something is there is not looked at. USB paths come from list_usb() only.
[[nodiscard]] std::optional<Place> parse_connection_path(std::string_view path);

// A "host:port" of the configuration. Errors: invalid_argument (usage.bad-value).
[[nodiscard]] Result<Place> parse_tcp_target(std::string_view text);

// Opens the service UART with kServiceLine. Errors: not_found (link.no-board), permission
// (link.permission, with the udev rule or the group), busy (link.busy, with the holder),
// unavailable (nobody listens; link.no-board), timeout, io.
[[nodiscard]] Result<std::unique_ptr<ByteStream>> open(const Place& place);

// The parts of open().
[[nodiscard]] Result<std::unique_ptr<ByteStream>> open_tty(const std::string& path,
                                                           const LineSettings& settings);
[[nodiscard]] Result<std::unique_ptr<ByteStream>> open_tcp(std::string_view host_and_port);
[[nodiscard]] Result<std::unique_ptr<ByteStream>> open_unix(const std::string& path);

}  // namespace sphere::transport
