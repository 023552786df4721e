// SPDX-License-Identifier: MIT
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "libsdk/src/image/device_tree.h"
#include "sphere/image/board_config.h"

namespace {

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

}  // namespace

// A tree that is read can be written, and what was written is read as the same.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span{data, size});
  const auto configuration = sphere::image::read_board_configuration(bytes);
  require(configuration || !configuration.error().hint().reason.empty());
  const auto root = sphere::image::read_device_tree(bytes);
  if (!root) {
    require(!configuration);
    return 0;
  }
  const auto written = sphere::image::write_device_tree(*root);
  if (written.size() > sphere::image::kMaxDeviceTree) {
    return 0;  // Names that shared their ends stand there twice now.
  }
  const auto again = sphere::image::read_device_tree(written);
  require(again && sphere::image::write_device_tree(*again) == written);
  return 0;
}
