// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include "sphere/recovery/cobs.h"

namespace {

using Bytes = std::vector<std::byte>;

constexpr std::size_t kLimit = 600;

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

std::vector<Bytes> decode(std::span<const std::byte> wire, std::size_t piece) {
  std::vector<Bytes> frames;
  sphere::recovery::CobsDecoder decoder{kLimit};
  for (std::size_t at = 0; at < wire.size(); at += piece) {
    decoder.decode(wire.subspan(at, std::min(piece, wire.size() - at)),
                   [&](std::span<const std::byte> frame) {
                     require(frame.size() <= kLimit);
                     frames.emplace_back(frame.begin(), frame.end());
                     return true;
                   });
  }
  require(decoder.counters().frames == frames.size());
  return frames;
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
  const std::size_t piece = 1 + std::to_integer<std::size_t>(input.front());
  const auto frames = decode(wire, wire.size() + 1);
  require(decode(wire, piece) == frames);
  Bytes again;
  for (const Bytes& frame : frames) {
    sphere::recovery::append_cobs(frame, again);
  }
  require(decode(again, piece) == frames);
  return 0;
}
