// SPDX-License-Identifier: MIT
#include "libsdk/src/crypto/encryption_scheme.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "libsdk/src/crypto/der.h"
#include "sphere/core/reader.h"
#include "sphere/core/result.h"

namespace sphere::crypto {
namespace {

using Bytes = std::span<const std::byte>;

// Object identifiers of RFC 8018, RFC 7914 and NIST's AES arc.
constexpr std::array<std::uint8_t, 9> kPbes2 = {0x2A, 0x86, 0x48, 0x86, 0xF7,
                                                0x0D, 0x01, 0x05, 0x0D};
constexpr std::array<std::uint8_t, 9> kPbkdf2 = {0x2A, 0x86, 0x48, 0x86, 0xF7,
                                                 0x0D, 0x01, 0x05, 0x0C};
constexpr std::array<std::uint8_t, 9> kScrypt = {0x2B, 0x06, 0x01, 0x04, 0x01,
                                                 0xDA, 0x47, 0x04, 0x0B};
constexpr std::array<std::uint8_t, 7> kRsaDigestArc = {0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x02};
constexpr std::array<std::uint8_t, 8> kAesArc = {0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01};

struct Digest {
  std::uint8_t arc;  // Last number of hmacWith...
  std::string_view name;
};
constexpr std::array kDigests = {
    Digest{.arc = 7, .name = "SHA1"}, Digest{.arc = 8, .name = "SHA224"},
    Digest{.arc = 9, .name = "SHA256"}, Digest{.arc = 10, .name = "SHA384"},
    Digest{.arc = 11, .name = "SHA512"}};

struct Cipher {
  std::uint8_t arc;
  std::string_view name;
  std::size_t key_size;
};
constexpr std::array kCiphers = {Cipher{.arc = 2, .name = "AES-128-CBC", .key_size = 16},
                                 Cipher{.arc = 22, .name = "AES-192-CBC", .key_size = 24},
                                 Cipher{.arc = 42, .name = "AES-256-CBC", .key_size = 32}};

tl::unexpected<Error> malformed(std::string_view what) {
  return fail(Errc::corrupt, fmt::format("malformed encrypted key: {}", what),
              {.reason = "key.refused"});
}

tl::unexpected<Error> foreign(std::string_view what) {
  return fail(Errc::unsupported, fmt::format("the key is encrypted with {}", what),
              {.reason = "key.refused",
               .next = "encrypt it anew: openssl pkcs8 -topk8 -v2 aes-256-cbc -in FILE -out FILE"});
}

tl::unexpected<Error> too_costly(std::string_view what, std::string value) {
  return fail(
      Errc::too_large,
      fmt::format("the passphrase of the key would take too much work: {} is {}", what, value),
      {.reason = "key.refused",
       .value = std::move(value),
       .next = "encrypt it anew: openssl pkcs8 -topk8 -scrypt -in FILE -out FILE"});
}

// The row whose object identifier is `arc` and one more number.
template <typename Row, std::size_t kArc, std::size_t kRows>
const Row* find_row(Bytes id, const std::array<std::uint8_t, kArc>& arc,
                    const std::array<Row, kRows>& rows) {
  if (id.size() != kArc + 1 || !der_equals(id.first(kArc), arc)) {
    return nullptr;
  }
  const auto last = std::to_integer<std::uint8_t>(id.back());
  const auto* const row = std::ranges::find(rows, last, &Row::arc);
  return row == rows.end() ? nullptr : row;
}

// keyLength, which both derivations may have, repeats what the cipher says.
bool skip_key_length(Reader& reader) {
  Reader ahead = reader;
  const auto element = read_der_element(ahead);
  if (element && element->tag == kDerInteger) {
    reader = ahead;
  }
  return element.has_value() || reader.left() == 0;
}

Result<std::string_view> read_digest(Reader& reader) {
  if (reader.left() == 0) {
    return "SHA1";  // The default of RFC 8018.
  }
  const auto algorithm = read_der(reader, kDerSequence);
  if (!algorithm || reader.left() != 0) {
    return malformed("digest of the derivation");
  }
  Reader inner{*algorithm};
  const auto id = read_der(inner, kDerObjectId);
  const Digest* digest = id ? find_row(*id, kRsaDigestArc, kDigests) : nullptr;
  if (digest == nullptr) {
    return foreign("PBKDF2 over a digest that is not read here");
  }
  return digest->name;
}

Result<Pbkdf2> read_pbkdf2(Bytes content) {
  Reader reader{content};
  const auto salt = read_der(reader, kDerOctetString);
  const auto rounds = read_der_number(reader);
  if (!salt || !rounds || *rounds == 0 || !skip_key_length(reader)) {
    return malformed("numbers of PBKDF2");
  }
  if (*rounds > kMaxPbkdf2Rounds) {
    return too_costly("the number of PBKDF2 rounds", std::to_string(*rounds));
  }
  SPHERE_TRY_ASSIGN(const auto digest, read_digest(reader));
  return Pbkdf2{.salt = *salt, .rounds = *rounds, .digest = digest};
}

Result<Scrypt> read_scrypt(Bytes content) {
  Reader reader{content};
  const auto salt = read_der(reader, kDerOctetString);
  const auto n = read_der_number(reader);
  const auto r = read_der_number(reader);
  const auto p = read_der_number(reader);
  if (!salt || !n || !r || !p || !skip_key_length(reader) || reader.left() != 0 || *n < 2 ||
      !std::has_single_bit(*n) || *r == 0 || *p == 0) {
    return malformed("numbers of scrypt");
  }
  // Each factor alone is below 2^31 then, so that no product wraps.
  constexpr std::uint64_t kMaxBlocks = kMaxScryptMemory / 128;
  if (*n > kMaxBlocks || *r > kMaxBlocks || *n * *r > kMaxBlocks || *p > kMaxScryptWork ||
      *n * *r * 128 * *p > kMaxScryptWork) {
    return too_costly("the cost of scrypt", fmt::format("N {}, r {}, p {}", *n, *r, *p));
  }
  return Scrypt{.salt = *salt, .n = *n, .r = *r, .p = *p};
}

Result<void> read_derivation(Bytes content, EncryptedKey& key) {
  Reader reader{content};
  const auto id = read_der(reader, kDerObjectId);
  const auto parameters = read_der(reader, kDerSequence);
  if (!id || !parameters || reader.left() != 0) {
    return malformed("derivation");
  }
  if (der_equals(*id, kScrypt)) {
    SPHERE_TRY_ASSIGN(key.derivation, read_scrypt(*parameters));
    return {};
  }
  if (der_equals(*id, kPbkdf2)) {
    SPHERE_TRY_ASSIGN(key.derivation, read_pbkdf2(*parameters));
    return {};
  }
  return foreign("a derivation that is neither scrypt nor PBKDF2");
}

Result<void> read_cipher(Bytes content, EncryptedKey& key) {
  Reader reader{content};
  const auto id = read_der(reader, kDerObjectId);
  if (!id) {
    return malformed("cipher");
  }
  const Cipher* cipher = find_row(*id, kAesArc, kCiphers);
  if (cipher == nullptr) {
    return foreign("a cipher that is not AES in CBC mode");
  }
  const auto iv = read_der(reader, kDerOctetString);
  if (!iv || iv->size() != kAesBlock || reader.left() != 0) {
    return malformed("cipher");
  }
  key.cipher = cipher->name;
  key.key_size = cipher->key_size;
  key.iv = *iv;
  return {};
}

Result<void> read_scheme(Bytes content, EncryptedKey& key) {
  Reader reader{content};
  const auto id = read_der(reader, kDerObjectId);
  if (!id) {
    return malformed("scheme");
  }
  if (!der_equals(*id, kPbes2)) {
    return foreign("an old scheme");
  }
  const auto parameters = read_der(reader, kDerSequence);
  if (!parameters || reader.left() != 0) {
    return malformed("scheme");
  }
  Reader inner{*parameters};
  const auto derivation = read_der(inner, kDerSequence);
  const auto cipher = read_der(inner, kDerSequence);
  if (!derivation || !cipher || inner.left() != 0) {
    return malformed("scheme");
  }
  SPHERE_TRY(read_derivation(*derivation, key));
  return read_cipher(*cipher, key);
}

}  // namespace

Result<EncryptedKey> read_encrypted_key(Bytes der) {
  Reader file{der};
  const auto outer = read_der(file, kDerSequence);
  if (!outer || file.left() != 0) {
    return malformed("outer structure");
  }
  Reader reader{*outer};
  const auto scheme = read_der(reader, kDerSequence);
  const auto data = read_der(reader, kDerOctetString);
  if (!scheme || !data || reader.left() != 0 || data->empty() || data->size() % kAesBlock != 0) {
    return malformed("outer structure");
  }
  EncryptedKey key{};
  SPHERE_TRY(read_scheme(*scheme, key));
  key.data = *data;
  return key;
}

}  // namespace sphere::crypto
