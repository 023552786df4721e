// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace sphere::virtual_board {

// A frame of broker_protocol.h (the layout stands there), read from or made for one packet.
struct Frame {
  std::uint16_t verb = 0;
  std::uint32_t id = 0;
  std::int32_t status = 0;
  std::span<const std::byte> payload = {};  // Points into the packet.
  // False when the packet is no frame of this version: shorter or longer than it says, too long,
  // or with a status in a request. verb and id are as far as they could be read, for the answer.
  bool valid = false;
};

// Reads a request. Never fails: what is not a frame comes back with valid = false.
[[nodiscard]] Frame parse_request(std::span<const std::byte> packet);

// `payload` has at most SPHERE_PAYLOAD_MAX bytes.
[[nodiscard]] std::vector<std::byte> encode_reply(const Frame& request, std::int32_t status,
                                                  std::span<const std::byte> payload = {});

// How many malformed requests in a row close a socket (broker_protocol.h).
inline constexpr int kMalformedLimit = 3;

}  // namespace sphere::virtual_board
