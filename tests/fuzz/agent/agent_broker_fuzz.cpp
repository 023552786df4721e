// SPDX-License-Identifier: MIT
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include "device-agent/agent/broker/frame.h"

// A frame that is read is written back as the same bytes.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto packet = std::as_bytes(std::span{data, size});
  const auto frame = sphere::agent::read_frame(packet);
  if (!frame) {
    return 0;
  }
  const auto written = sphere::agent::write_frame(*frame);
  if (written != std::vector<std::byte>{packet.begin(), packet.end()}) {
    std::abort();
  }
  return 0;
}
