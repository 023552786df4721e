// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "sphere/core/reader.h"
#include "sphere/recovery/cobs.h"
#include "sphere/recovery/v2_messages.h"
#include "sphere/recovery/v3_messages.h"

// A side of recovery v3 against an adversary that can make good frames. The input is a row of
// steps:
//
//   u8 kind | u8 size | that many bytes
//
// What a kind does is said in each target.
namespace sphere::fuzz {

using Bytes = std::vector<std::byte>;
namespace v3 = recovery::v3;

inline void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

struct V3Step {
  std::uint8_t kind = 0;
  std::span<const std::byte> bytes;
};

inline std::optional<V3Step> next_v3_step(Reader& reader) {
  const auto kind = reader.little_endian<std::uint8_t>();
  const auto size = reader.little_endian<std::uint8_t>();
  if (!kind || !size) {
    return std::nullopt;
  }
  return V3Step{.kind = *kind, .bytes = *reader.bytes(std::min<std::size_t>(*size, reader.left()))};
}

// The frames of a piece of wire.
inline void for_each_frame(std::span<const std::byte> wire,
                           const std::function<void(std::span<const std::byte>)>& use) {
  recovery::CobsDecoder decoder{v3::kFrameLimit};
  decoder.decode(wire, [&](std::span<const std::byte> frame) {
    use(frame);
    return true;
  });
}

inline Bytes message_frame(std::uint32_t sequence, std::span<const std::byte> step) {
  Bytes wire;
  if (!step.empty()) {
    v3::append_message(sequence, static_cast<v3::Type>(step.front()), step.subspan(1), wire);
  }
  return wire;
}

inline Bytes v2_frame(recovery::v2::Type type, std::span<const std::byte> data) {
  Bytes wire;
  recovery::v2::append_message(type, data, wire);
  return wire;
}

}  // namespace sphere::fuzz
