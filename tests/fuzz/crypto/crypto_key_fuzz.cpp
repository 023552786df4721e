// SPDX-License-Identifier: MIT
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string_view>

#include "sphere/crypto/certificate.h"
#include "sphere/crypto/key.h"

namespace {

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

}  // namespace

// Keys and certificates as PEM text and as DER: what is accepted is the same once more.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto der = std::as_bytes(std::span{data, size});
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): bytes seen as characters.
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  if (const auto key = sphere::crypto::PrivateKey::from_pem(text)) {
    const auto again = sphere::crypto::PrivateKey::from_pem(key->to_pem().text());
    require(again && again->public_key() == key->public_key());
  }
  for (const auto& key :
       {sphere::crypto::PublicKey::from_pem(text), sphere::crypto::PublicKey::from_spki(der)}) {
    require(!key || *sphere::crypto::PublicKey::from_spki(key->spki()) == *key);
  }
  if (const auto certificate = sphere::crypto::Certificate::from_der(der)) {
    require(sphere::crypto::Certificate::from_pem(certificate->pem())->der() == certificate->der());
    static_cast<void>(certificate->subject());
    static_cast<void>(certificate->not_before());
  }
  static_cast<void>(sphere::crypto::Certificate::from_pem(text));
  return 0;
}
