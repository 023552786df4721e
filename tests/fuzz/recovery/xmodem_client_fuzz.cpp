// SPDX-License-Identifier: MIT
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "device-agent/virtual-board/recovery/flash.h"
#include "device-agent/virtual-board/recovery/xmodem.h"
#include "libsdk/src/recovery/xmodem_client.h"
#include "tests/fuzz/recovery/side_fuzz.h"

// The first byte says which side is meant, and how it is set up; the rest are steps of side_fuzz.h.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sphere;
  if (size == 0) {
    return 0;
  }
  const auto input = std::as_bytes(std::span{data, size});
  const unsigned mode = data[0];
  if ((mode & 1U) == 0) {
    const std::map<std::string, std::vector<std::byte>> files = {
        {"fw.bin", std::vector<std::byte>(1500)}};
    const auto driver = recovery::make_xmodem({.file = "fw.bin",
                                               .size = 1500,
                                               .large_blocks = (mode & 2U) != 0,
                                               .answer = (mode & 4U) != 0 ? "+GOOD" : ""});
    fuzz::Host{**driver, files}.run(input.subspan(1));
    return 0;
  }
  virtual_board::XmodemDevice device{{.size = (mode & 2U) != 0 ? 200U : 0U, .needed = {}},
                                     virtual_board::Flash{4096, 4096}};
  fuzz::run_device(device, input.subspan(1), false);
  return 0;
}
