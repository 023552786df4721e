// SPDX-License-Identifier: MIT
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "device-agent/virtual-board/recovery/dfu.h"
#include "device-agent/virtual-board/recovery/flash.h"
#include "libsdk/src/recovery/dfu.h"
#include "tests/fuzz/recovery/side_fuzz.h"

namespace {

using namespace sphere;

// What is read from descriptors and files.
void read_formats(std::span<const std::byte> input) {
  const void* const start = input.data();
  const auto pages = recovery::parse_dfuse_layout({static_cast<const char*>(start), input.size()});
  fuzz::require(!pages || pages->size() <= 65'536);
  const auto content = recovery::dfu_content_size(input, 1, 2);
  fuzz::require(!content || *content <= input.size());
  const auto descriptor = recovery::parse_dfu_descriptor(input);
  fuzz::require(!descriptor || descriptor->transfer_size > 0);
}

void run_client(unsigned mode, std::span<const std::byte> input) {
  const std::map<std::string, std::vector<std::byte>> files = {
      {"fw.bin", std::vector<std::byte>(100)}};
  const bool dfuse = (mode & 4U) != 0;
  recovery::DfuPlan plan{
      .descriptor = {.can_download = true,
                     .can_upload = (mode & 8U) != 0,
                     .manifestation_tolerant = (mode & 16U) != 0,
                     .transfer_size = 64,
                     .version = dfuse ? recovery::kDfuSe : std::uint16_t{0x0110}},
      .is_running = (mode & 32U) != 0,
      .file = "fw.bin",
      .size = 100,
      .write_all = (mode & 64U) != 0};
  const auto driver = recovery::make_dfu(plan);
  fuzz::Host{**driver, files}.run(input);
}

}  // namespace

// The two low bits of the first byte say what is meant (client, device, formats), the others how it
// is set up; the rest are steps of side_fuzz.h.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) {
    return 0;
  }
  const auto input = std::as_bytes(std::span{data, size}).subspan(1);
  const unsigned mode = data[0];
  if ((mode & 3U) == 0) {
    run_client(mode, input);
  } else if ((mode & 3U) == 1) {
    virtual_board::DfuDevice device{{.dfuse = (mode & 4U) != 0,
                                     .can_upload = (mode & 8U) == 0,
                                     .tolerant = (mode & 16U) == 0,
                                     .is_running = (mode & 32U) != 0,
                                     .transfer_size = 64},
                                    virtual_board::Flash{4 * 256, 256}};
    fuzz::run_device(device, input, true);
  } else {
    read_formats(input);
  }
  return 0;
}
