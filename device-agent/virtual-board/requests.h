// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "device-agent/virtual-board/gpio_bank.h"
#include "sphere/core/result.h"
#include "sphere/json/value.h"

namespace sphere::virtual_board {

// What a board is: from board.json and the table of pins.
struct BoardIdentity {
  std::string board_id;  // mt3620-rdb
  std::string name;      // What its user calls it.
  bool trust_public_test_key = true;
};

// The payload of board_link::Verb::virtual_request.
struct VirtualRequest {
  std::string method;
  std::string path;  // Below /sphere/v1/virtual, with the query: "gpio/8", "gpio?follow=true".
  std::string body;
};

// A stream of edges that an answer asks to open (edge_follower.h).
struct EdgeStream {
  std::uint64_t after_seq = 0;
  bool follow = false;
};

struct VirtualAnswer {
  int status = 200;
  json::Value body = {};
  std::optional<EdgeStream> stream = {};
};

// Errors: corrupt (no JSON object with method, path and body).
[[nodiscard]] Result<VirtualRequest> parse_virtual_request(std::span<const std::byte> payload);

// Does what a request to /sphere/v1/virtual asks for, on the pins as they are at `now_us` of the
// board's clock. What is refused is answered with the error's status and body of the device REST
// API and changes nothing.
[[nodiscard]] VirtualAnswer answer_virtual(const BoardIdentity& board, GpioBank& bank,
                                           const VirtualRequest& request, std::int64_t now_us);

// The answer to a request that parse_virtual_request() does not take.
[[nodiscard]] VirtualAnswer refuse_request(const Error& error);

// The answer to a stream beyond the `limit` that run at one time.
[[nodiscard]] VirtualAnswer refuse_follower(std::size_t limit);

// The payload of board_link::Verb::open_gpio: 0, or EPROTO (too short, too long, an id that is not
// printable) or EINVAL (direction, mode or value).
[[nodiscard]] int parse_open_gpio(std::span<const std::byte> payload, OpenLine& line);

// The reply of board_link::Verb::info.
[[nodiscard]] json::Value info_of(const BoardIdentity& board, const GpioBank& bank);

}  // namespace sphere::virtual_board
