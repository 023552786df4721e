// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "sphere/core/descriptor.h"

namespace sphere::agent {

// One packet of a SEQPACKET socket and the descriptor that came with it, if any.
struct Packet {
  std::vector<std::byte> bytes;
  Descriptor descriptor = {};
};

// Nothing at the end of the socket, on an error, and (with `wait` false) when no packet is there:
// `ended` tells these apart. A packet longer than SPHERE_FRAME_MAX comes one byte too long, so that
// no frame reader takes it.
[[nodiscard]] std::optional<Packet> receive_packet(int socket, bool wait, bool& ended);

// False when the other side has gone or takes nothing more.
[[nodiscard]] bool send_packet(int socket, std::span<const std::byte> bytes,
                               int descriptor_to_pass = -1);

}  // namespace sphere::agent
