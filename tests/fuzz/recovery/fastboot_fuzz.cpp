// SPDX-License-Identifier: MIT
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "device-agent/virtual-board/recovery/fastboot.h"
#include "device-agent/virtual-board/recovery/flash.h"
#include "libsdk/src/recovery/fastboot.h"
#include "tests/fuzz/recovery/side_fuzz.h"

// The first byte says which side is meant, and how it is set up; the rest are steps of side_fuzz.h.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sphere;
  if (size == 0) {
    return 0;
  }
  const auto input = std::as_bytes(std::span{data, size});
  const unsigned mode = data[0];
  const bool tcp = (mode & 2U) != 0;
  if ((mode & 1U) == 0) {
    const std::map<std::string, std::vector<std::byte>> files = {
        {"boot.img", std::vector<std::byte>(20'000)}};
    const auto driver =
        recovery::make_fastboot({.images = {{.partition = "boot",
                                             .file = "boot.img",
                                             .size = 20'000,
                                             .sha256 = std::string(64, '0')}},
                                 .tcp = tcp,
                                 .hash_command = (mode & 4U) != 0 ? "oem sha256" : ""});
    fuzz::Host{**driver, files}.run(input.subspan(1));
    return 0;
  }
  virtual_board::FastbootDevice device{{.tcp = tcp,
                                        .partitions = {{.name = "boot", .offset = 0, .size = 8192},
                                                       {.name = "a", .offset = 8192, .size = 4096}},
                                        .max_download = 16'384,
                                        .locked = (mode & 4U) != 0,
                                        .hash_command = (mode & 8U) != 0},
                                       virtual_board::Flash{3 * 4096, 4096}};
  fuzz::run_device(device, input.subspan(1), false);
  return 0;
}
