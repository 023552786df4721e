// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "sphere/recovery/manifest_v3.h"
#include "sphere/recovery/manifest_v4.h"

namespace {

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

}  // namespace

// The body of a recovery manifest of either version. What is read is written back as it was.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sphere::recovery;
  const auto body = std::as_bytes(std::span{data, size});
  if (const auto v3 = parse_manifest_v3(body)) {
    require(!v3->entries.empty() && v3->entries.size() <= kManifestV3Limit);
    const auto again = write_manifest_v3(*v3);
    require(std::ranges::equal(again, body));
  }
  if (const auto v4 = parse_manifest_v4(body)) {
    require(!v4->entries.empty() && v4->entries.size() <= kManifestV4Limit);
    const auto again = write_manifest_v4(*v4);
    require(std::ranges::equal(again, body));
  }
  return 0;
}
