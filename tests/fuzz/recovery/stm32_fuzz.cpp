// SPDX-License-Identifier: MIT
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "device-agent/virtual-board/recovery/flash.h"
#include "device-agent/virtual-board/recovery/stm32.h"
#include "libsdk/src/recovery/stm32.h"
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
        {"fw.bin", std::vector<std::byte>(300)}};
    const auto driver = recovery::make_stm32(
        {.images = {{.address = 0x08000000, .file = "fw.bin", .size = 300}},
         .page_size = (mode & 2U) != 0 ? std::optional<std::uint32_t>{256} : std::nullopt,
         .allow_mass_erase = (mode & 4U) != 0,
         .write_all = (mode & 8U) != 0,
         .go = 0x08000000});
    fuzz::Host{**driver, files}.run(input.subspan(1));
    return 0;
  }
  virtual_board::Stm32Device device{
      {.extended_erase = (mode & 2U) != 0, .read_protected = (mode & 4U) != 0},
      virtual_board::Flash{8 * 256, 256}};
  fuzz::run_device(device, input.subspan(1), false);
  return 0;
}
