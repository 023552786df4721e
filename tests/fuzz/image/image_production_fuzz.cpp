// SPDX-License-Identifier: MIT
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "sphere/image/compression.h"
#include "sphere/image/package.h"
#include "sphere/image/production.h"
#include "sphere/image/trust.h"

namespace {

constexpr std::size_t kLimit = std::size_t{1} << 20U;

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

// The input as a compressed area: what decodes has the size that was asked for.
void decode_area(std::span<const std::byte> area) {
  for (const std::size_t size : {std::size_t{0}, std::size_t{64}, std::size_t{4300}}) {
    const auto decoded = sphere::image::decode_lzma(area, size);
    require(decoded ? decoded->size() == size : !decoded.error().hint().reason.empty());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span{data, size});
  decode_area(bytes);
  const auto outer =
      sphere::image::parse_package(bytes, {.package_bytes = kLimit, .package_v2_bytes = kLimit});
  if (!outer || outer->kind != sphere::image::PackageKind::production) {
    return 0;
  }
  const auto inner = sphere::image::open_inner(*outer, {.package_bytes = kLimit});
  if (inner) {
    require(inner->package.size == outer->metadata.uncompressed_size);
    require(inner->package.metadata.identity.image_id == outer->metadata.identity.image_id);
  } else {
    require(!inner.error().hint().reason.empty());
  }
  sphere::image::TrustStore trust;
  trust.add({.key = sphere::image::public_test_key(), .thumbprints = {}});
  require(!sphere::image::verify(*outer, trust));
  return 0;
}
