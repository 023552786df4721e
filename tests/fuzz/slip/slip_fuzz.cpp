// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <span>
#include <vector>

#include "sphere/slip/codec.h"
#include "sphere/slip/packet.h"

namespace {

using sphere::slip::Decoder;
using Bytes = std::vector<std::byte>;

constexpr std::size_t kLimit = 256;

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

std::vector<Bytes> decode(std::span<const std::byte> wire, std::size_t piece) {
  std::vector<Bytes> frames;
  Decoder decoder{kLimit};
  for (std::size_t at = 0; at < wire.size(); at += piece) {
    decoder.decode(wire.subspan(at, std::min(piece, wire.size() - at)),
                   [&](std::span<const std::byte> frame) {
                     require(!frame.empty() && frame.size() <= kLimit);
                     frames.emplace_back(frame.begin(), frame.end());
                   });
  }
  require(decoder.counters().bytes == wire.size());
  return frames;
}

void check_as_packet(Bytes packet) {
  using namespace sphere::slip;
  if (check_packet(packet, {}) != std::nullopt) {
    return;
  }
  static_cast<void>(is_answer(packet));
  const Address other = kBoardAddress + 7;
  rewrite_source(packet, other);
  require(check_packet(packet, {.source = other}) == std::nullopt);
}

}  // namespace

// The first byte says how the rest is cut. What comes out of the decoder must not depend on that,
// and goes through the encoder and back.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) {
    return 0;
  }
  const auto input = std::as_bytes(std::span{data, size});
  const auto wire = input.subspan(1);
  const auto frames = decode(wire, wire.size() + 1);
  require(decode(wire, 1 + std::to_integer<std::size_t>(input.front())) == frames);
  Bytes again;
  for (const Bytes& frame : frames) {
    sphere::slip::append_encoded(frame, again);
    check_as_packet(frame);
  }
  require(decode(again, 1 + std::to_integer<std::size_t>(input.front())) == frames);
  return 0;
}
