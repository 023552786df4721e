// SPDX-License-Identifier: MIT
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include "sphere/image/trust_image.h"

namespace {

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

}  // namespace

// What is read is written again as the same bytes.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto body = std::as_bytes(std::span{data, size});
  const auto record = sphere::image::read_trust_record(body);
  if (!record) {
    require(!record.error().hint().reason.empty());
    return 0;
  }
  const auto written = sphere::image::write_trust_record(*record);
  require(written && *written == std::vector<std::byte>{body.begin(), body.end()});
  return 0;
}
