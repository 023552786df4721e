// SPDX-License-Identifier: MIT
#include "device-agent/agent/broker/frame.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "device-agent/applibs/src/broker_protocol.h"
#include "sphere/core/reader.h"
#include "sphere/core/writer.h"

namespace sphere::agent {

std::optional<Frame> read_frame(std::span<const std::byte> packet) {
  if (packet.size() > SPHERE_FRAME_MAX) {
    return std::nullopt;
  }
  Reader reader{packet};
  const auto version = reader.little_endian<std::uint16_t>();
  const auto verb = reader.little_endian<std::uint16_t>();
  const auto id = reader.little_endian<std::uint32_t>();
  const auto status = reader.little_endian<std::uint32_t>();
  const auto length = reader.little_endian<std::uint32_t>();
  if (!version || !verb || !id || !status || !length || *length != reader.left()) {
    return std::nullopt;
  }
  return Frame{.version = *version,
               .verb = *verb,
               .id = *id,
               .status = static_cast<std::int32_t>(*status),
               .payload = packet.last(*length)};
}

std::vector<std::byte> write_frame(const Frame& frame) {
  Writer writer;
  writer.little_endian(frame.version)
      .little_endian(frame.verb)
      .little_endian(frame.id)
      .little_endian(frame.status)
      .little_endian(static_cast<std::uint32_t>(frame.payload.size()))
      .bytes(frame.payload);
  return std::move(writer).take();
}

}  // namespace sphere::agent
