// SPDX-License-Identifier: MIT
// A leaf cache: the checksum is set right, so that the parser behind it is reached.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include "libsdk/src/image/leaf_cache.h"
#include "sphere/crypto/digest.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span{data, size});
  std::vector<std::byte> file{bytes.begin(), bytes.end()};
  const auto checksum = sphere::crypto::sha256(file);
  file.insert(file.end(), checksum.begin(), checksum.end());
  const auto cache = sphere::image::LeafCache::parse(file);
  if (cache && sphere::image::LeafCache::parse(cache->write())->size() != cache->size()) {
    std::abort();
  }
  return 0;
}
