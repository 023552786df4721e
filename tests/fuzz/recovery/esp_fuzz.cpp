// SPDX-License-Identifier: MIT
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "device-agent/virtual-board/recovery/esp.h"
#include "device-agent/virtual-board/recovery/flash.h"
#include "libsdk/src/recovery/esp.h"
#include "sphere/crypto/digest.h"
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
    const auto driver = recovery::make_esp({.images = {{.offset = 0x1000,
                                                        .file = "fw.bin",
                                                        .size = 1500,
                                                        .md5 = crypto::md5(files.at("fw.bin"))}},
                                            .write_all = (mode & 8U) != 0,
                                            .verify_only = (mode & 16U) != 0});
    fuzz::Host{**driver, files}.run(input.subspan(1));
    return 0;
  }
  virtual_board::EspDevice device{
      {.chip = (mode >> 1U) % 8U, .is_stub = (mode & 16U) != 0, .needed = {}},
      virtual_board::Flash{4 * 4096, 4096}};
  fuzz::run_device(device, input.subspan(1), false);
  return 0;
}
