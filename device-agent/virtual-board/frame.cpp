// SPDX-License-Identifier: MIT
#include "device-agent/virtual-board/frame.h"

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "device-agent/applibs/src/broker_protocol.h"
#include "sphere/core/reader.h"
#include "sphere/core/writer.h"

namespace sphere::virtual_board {

Frame parse_request(std::span<const std::byte> packet) {
  Reader reader{packet};
  const auto version = reader.little_endian<std::uint16_t>();
  const auto verb = reader.little_endian<std::uint16_t>();
  const auto id = reader.little_endian<std::uint32_t>();
  const auto status = reader.little_endian<std::uint32_t>();
  const auto length = reader.little_endian<std::uint32_t>();
  Frame frame{.verb = verb.value_or(0), .id = id.value_or(0)};
  if (!version || !status || !length || *version != SPHERE_BROKER_VERSION || *status != 0 ||
      *length > SPHERE_PAYLOAD_MAX || *length != reader.left()) {
    return frame;
  }
  frame.payload = reader.bytes(*length).value_or(std::span<const std::byte>{});
  frame.valid = true;
  return frame;
}

std::vector<std::byte> encode_reply(const Frame& request, std::int32_t status,
                                    std::span<const std::byte> payload) {
  assert(payload.size() <= SPHERE_PAYLOAD_MAX);
  Writer writer;
  writer.little_endian<std::uint16_t>(SPHERE_BROKER_VERSION)
      .little_endian(request.verb)
      .little_endian(request.id)
      .little_endian(status)
      .little_endian(static_cast<std::uint32_t>(payload.size()))
      .bytes(payload);
  return std::move(writer).take();
}

}  // namespace sphere::virtual_board
