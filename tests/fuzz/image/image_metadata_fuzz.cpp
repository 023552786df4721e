// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "sphere/image/metadata.h"

namespace {

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

}  // namespace

// What is accepted is written back byte for byte.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto package = std::as_bytes(std::span{data, size});
  const auto metadata = sphere::image::read_metadata(package);
  if (!metadata) {
    require(!metadata.error().message().empty());
    return 0;
  }
  const auto block = sphere::image::write_sections(metadata->sections);
  require(metadata->body_size + block.size() + sphere::image::kSignatureSize == size);
  require(std::ranges::equal(block, package.subspan(metadata->body_size, block.size())));
  for (const auto& section : metadata->sections) {
    static_cast<void>(sphere::image::describe_section(section));
  }
  return 0;
}
