// SPDX-License-Identifier: MIT
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "sphere/crypto/pkcs11.h"

// A URI is read, or refused with a reason; a PIN never gets in.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): bytes seen as characters.
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  const auto uri = sphere::crypto::parse_token_uri(text);
  if (!uri && uri.error().hint().reason.empty()) {
    std::abort();
  }
  if (uri && text.find("pin-value") != std::string_view::npos &&
      text.find("pin-value=") == text.find('?') + 1) {
    std::abort();
  }
  return 0;
}
