// SPDX-License-Identifier: MIT
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string_view>

#include "sphere/image/signing_request.h"

namespace {

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

}  // namespace

// A request that is read can be written and read again; a signature of any bytes is 64 bytes or
// refused.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span{data, size});
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): bytes seen as characters.
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  if (const auto request = sphere::image::read_signing_request(text)) {
    const auto again =
        sphere::image::read_signing_request(sphere::image::write_signing_request(*request));
    require(!again || (again->digest == request->digest && again->spki == request->spki));
    if (const auto signature = sphere::image::read_signature(bytes.first(size / 2))) {
      static_cast<void>(sphere::image::DetachedSigner::create(*request, *signature));
    }
  }
  const auto signature = sphere::image::read_signature(bytes);
  require(signature || !signature.error().hint().reason.empty());
  return 0;
}
