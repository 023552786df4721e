// SPDX-License-Identifier: MIT
// Provenance text: what is read is written again byte for byte.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "sphere/image/sections_v2.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span{data, size});
  const auto lines = sphere::image::read_provenance(bytes);
  if (!lines) {
    return 0;
  }
  const auto text = sphere::image::write_provenance(*lines);
  if (!text || !std::ranges::equal(std::as_bytes(std::span{*text}), bytes)) {
    std::abort();
  }
  return 0;
}
