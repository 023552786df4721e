// SPDX-License-Identifier: MIT
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string_view>
#include <variant>
#include <vector>

#include "libsdk/src/crypto/encryption_scheme.h"
#include "sphere/crypto/encrypted_key.h"
#include "sphere/crypto/secret.h"

namespace {

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

// What the derivation would cost; decrypting everything would make the fuzzer slow.
bool is_cheap(const sphere::crypto::EncryptedKey& key) {
  constexpr std::uint64_t kRounds = 64;
  if (const auto* pbkdf2 = std::get_if<sphere::crypto::Pbkdf2>(&key.derivation)) {
    return pbkdf2->rounds <= kRounds;
  }
  const auto& scrypt = std::get<sphere::crypto::Scrypt>(key.derivation);
  return scrypt.n * scrypt.r * scrypt.p <= kRounds;
}

}  // namespace

// An EncryptedPrivateKeyInfo as DER, and a PEM text around whatever it is: limits hold, and what is
// cheap is decrypted with a passphrase.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sphere::crypto;
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): bytes seen as characters.
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  static_cast<void>(is_encrypted_key(text));
  if (const auto block = encrypted_key_block(text)) {
    require(text.find(*block) != std::string_view::npos);
  }
  static_cast<void>(read_private_key(text, "key", nullptr));
  const auto der = std::as_bytes(std::span{data, size});
  const auto key = read_encrypted_key(der);
  if (!key) {
    return 0;
  }
  require(key->iv.size() == kAesBlock && !key->data.empty() && key->data.size() % kAesBlock == 0);
  if (const auto* scrypt = std::get_if<Scrypt>(&key->derivation)) {
    require(scrypt->n * scrypt->r * 128 <= kMaxScryptMemory);
  }
  if (is_cheap(*key)) {
    const auto opened = decrypt_encrypted_key(*key, Secret{std::vector<std::byte>(4)});
    static_cast<void>(opened.has_value());
  }
  return 0;
}
