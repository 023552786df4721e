// SPDX-License-Identifier: MIT
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include "sphere/image/compression.h"

namespace {

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

}  // namespace

// The first 3 bytes are the size of the chunk, the rest is the frame. What is decoded survives a
// round trip.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto input = std::as_bytes(std::span{data, size});
  if (input.size() < 3) {
    return 0;
  }
  const auto wanted = std::to_integer<std::size_t>(input[0]) |
                      (std::to_integer<std::size_t>(input[1]) << 8U) |
                      (std::to_integer<std::size_t>(input[2]) << 16U);
  std::vector<std::byte> chunk(1 + wanted % sphere::image::kZstdMaxChunk);
  static sphere::image::ZstdDecoder decoder;
  const auto result = decoder.decode(input.subspan(3), chunk);
  if (!result) {
    require(result.error().hint().reason == "package.corrupt");
    return 0;
  }
  static sphere::image::ZstdEncoder encoder{1};
  const auto frame = encoder.encode(chunk);
  std::vector<std::byte> again(chunk.size());
  require(decoder.decode(frame, again).has_value());
  require(again == chunk);
  return 0;
}
