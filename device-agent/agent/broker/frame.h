// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace sphere::agent {

// One frame of broker_protocol.h. `payload` points into the bytes it was read from.
struct Frame {
  std::uint16_t version = 0;
  std::uint16_t verb = 0;
  std::uint32_t id = 0;
  std::int32_t status = 0;
  std::span<const std::byte> payload = {};
};

// Reads a packet. Nothing when it is shorter than a header, longer than SPHERE_FRAME_MAX, or its
// length field is not the size of what follows.
[[nodiscard]] std::optional<Frame> read_frame(std::span<const std::byte> packet);

[[nodiscard]] std::vector<std::byte> write_frame(const Frame& frame);

}  // namespace sphere::agent
