// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sphere::device {

// A board as the enumeration service tells it.
struct EnumeratedBoard {
  std::string ip_address;
  std::string connection_path;
};

// The plain HTTP of the enumeration service: 127.0.0.1:48938, two operations, no bodies that
// matter. Answers come from memory.
//
//   GET /api/service/devices         [{"IpAddress": "192.168.35.2", "DeviceConnectionPath":
//   "1243"}] PUT /api/service/devices/rescan  the number of boards others 404 {}
//
// A Host that is none of the loopback names, and any Origin, get 403: no web page may ask.
struct EnumerationActions {
  std::function<std::vector<EnumeratedBoard>()> boards;
  std::function<std::size_t()> rescan;
  std::uint16_t port = 48938;  // That may stand in Host.
};

inline constexpr std::size_t kEnumerationRequestLimit = std::size_t{64} * 1024;

struct EnumerationStep {
  std::size_t taken = 0;  // Bytes of the front of the input that are done with.
  std::string answer;     // Empty: the request is not whole yet.
  bool close = false;     // After the answer.
};

// Answers the first request in `received`, if it is whole. Too much, or no HTTP, is answered 400
// and closed.
[[nodiscard]] EnumerationStep answer_enumeration(std::string_view received,
                                                 const EnumerationActions& actions);

}  // namespace sphere::device
