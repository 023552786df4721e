// SPDX-License-Identifier: MIT
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "device-agent/virtual-board/recovery/edl.h"
#include "device-agent/virtual-board/recovery/flash.h"
#include "libsdk/src/recovery/sahara.h"
#include "sphere/recovery/firehose_xml.h"
#include "tests/fuzz/recovery/side_fuzz.h"

// The first byte says what is meant, and how it is set up; the rest are steps of side_fuzz.h, or
// XML.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sphere;
  if (size == 0) {
    return 0;
  }
  const auto input = std::as_bytes(std::span{data, size});
  const unsigned mode = data[0];
  if ((mode & 3U) == 0) {
    const std::map<std::string, std::vector<std::byte>> files = {
        {"prog.mbn", std::vector<std::byte>(300)}, {"boot.img", std::vector<std::byte>(1500)}};
    const auto driver = recovery::make_firehose(
        {.programmer = "prog.mbn",
         .programmer_size = 300,
         .images = {{.file = "boot.img", .size = 1500, .start_sector = "7"}},
         .write_all = (mode & 4U) != 0,
         .verify_only = (mode & 8U) != 0});
    fuzz::Host{**driver, files}.run(input.subspan(1));
  } else if ((mode & 3U) == 1) {
    virtual_board::EdlDevice device{
        {.loader_runs = (mode & 4U) != 0, .wide = (mode & 8U) != 0, .needed = {}},
        virtual_board::Flash{std::size_t{64} * 512, 512}};
    fuzz::run_device(device, input.subspan(1), false);
  } else {
    std::string text{reinterpret_cast<const char*>(data) + 1, size - 1};
    const auto elements = recovery::parse_firehose_xml(text);
    if (elements) {
      fuzz::require(!elements->empty() && elements->front().depth == 1);
    }
  }
  return 0;
}
