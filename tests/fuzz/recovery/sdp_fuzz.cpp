// SPDX-License-Identifier: MIT
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "device-agent/virtual-board/recovery/flash.h"
#include "device-agent/virtual-board/recovery/sdp.h"
#include "libsdk/src/recovery/sdp.h"
#include "tests/fuzz/recovery/side_fuzz.h"

// The first byte says what is meant, and how it is set up; the rest are steps of side_fuzz.h, or an
// image.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sphere;
  if (size == 0) {
    return 0;
  }
  const auto input = std::as_bytes(std::span{data, size});
  const unsigned mode = data[0];
  if ((mode & 3U) == 0) {
    const std::map<std::string, std::vector<std::byte>> files = {
        {"u-boot.imx", std::vector<std::byte>(3000)}};
    const auto driver = recovery::make_sdp({.chip = recovery::sdp_chips()[(mode >> 4U) % 7U],
                                            .image = {.offset = 8,
                                                      .address = 0x80000000,
                                                      .dcd_offset = 40,
                                                      .dcd_size = (mode & 4U) != 0 ? 12U : 0U},
                                            .file = "u-boot.imx",
                                            .size = 3000,
                                            .uart = (mode & 8U) != 0});
    fuzz::Host{**driver, files}.run(input.subspan(1));
  } else if ((mode & 3U) == 1) {
    virtual_board::SdpDevice device{{.uart = (mode & 8U) != 0,
                                     .closed = (mode & 4U) != 0,
                                     .skips_dcd = (mode & 16U) != 0,
                                     .needed = {}},
                                    virtual_board::Flash{4 * 4096, 4096}};
    fuzz::run_device(device, input.subspan(1), false);
  } else {
    const auto image = recovery::parse_sdp_image(input.subspan(1));
    fuzz::require(!image || (image->offset + 32 < size && image->dcd_offset < size &&
                             image->dcd_size < size - image->dcd_offset));
    static_cast<void>(recovery::hab_text(input));
  }
  return 0;
}
