// SPDX-License-Identifier: MIT
#include "sphere/crypto/encrypted_key.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <tl/expected.hpp>

#include "libsdk/src/crypto/encryption_scheme.h"
#include "libsdk/src/crypto/key_der.h"
#include "libsdk/src/crypto/openssl.h"
#include "libsdk/src/crypto/pem.h"
#include "sphere/core/result.h"
#include "sphere/crypto/key.h"
#include "sphere/crypto/library.h"
#include "sphere/crypto/secret.h"
#include "sphere/crypto/secret_source.h"

namespace sphere::crypto {
namespace {

constexpr std::string_view kEncryptedLabel = "ENCRYPTED PRIVATE KEY";  // RFC 7468, section 11

// OWASP's cheat sheet for passwords lists this as one of the equal choices; N and r need 16 MiB,
// below the 32 MiB where OpenSSL's own tools stop.
constexpr std::uint64_t kScryptN = 16384;
constexpr std::uint64_t kScryptR = 8;
constexpr std::uint64_t kScryptP = 5;
constexpr std::size_t kSaltSize = 16;

using CipherContextPtr = std::unique_ptr<EVP_CIPHER_CTX, Free<EVP_CIPHER_CTX_free>>;
using CipherPtr = std::unique_ptr<EVP_CIPHER, Free<EVP_CIPHER_free>>;
using DigestPtr = std::unique_ptr<EVP_MD, Free<EVP_MD_free>>;
using AlgorithmPtr = std::unique_ptr<X509_ALGOR, Free<X509_ALGOR_free>>;
using PlainInfoPtr = std::unique_ptr<PKCS8_PRIV_KEY_INFO, Free<PKCS8_PRIV_KEY_INFO_free>>;
using EncryptedInfoPtr = std::unique_ptr<X509_SIG, Free<X509_SIG_free>>;

Error wrong_passphrase() {
  return Error{Errc::unverified,
               "wrong passphrase, or the key is damaged",
               {.reason = "key.locked", .next = "try again with the right passphrase"}};
}

Error locked(std::string_view what) {
  return Error{Errc::unverified,
               fmt::format("{} is encrypted and nobody can be asked for its passphrase", what),
               {.reason = "key.locked",
                .value = std::string{what},
                .next = "give it with --passphrase-fd, --passphrase-file or "
                        "SPHERE_KEY_PASSPHRASE"}};
}

bool derive(const Pbkdf2& how, std::string_view passphrase, std::span<std::byte> key) {
  const DigestPtr digest{EVP_MD_fetch(nullptr, std::string{how.digest}.c_str(), nullptr)};
  return digest != nullptr &&
         PKCS5_PBKDF2_HMAC(passphrase.data(), static_cast<int>(passphrase.size()),
                           as_uchar(how.salt.data()), static_cast<int>(how.salt.size()),
                           static_cast<int>(how.rounds), digest.get(), static_cast<int>(key.size()),
                           as_uchar(key.data())) == 1;
}

bool derive(const Scrypt& how, std::string_view passphrase, std::span<std::byte> key) {
  // OpenSSL counts its working blocks, too.
  constexpr std::uint64_t kMemory = 2 * kMaxScryptMemory;
  return EVP_PBE_scrypt(passphrase.data(), passphrase.size(), as_uchar(how.salt.data()),
                        how.salt.size(), how.n, how.r, how.p, kMemory, as_uchar(key.data()),
                        key.size()) == 1;
}

// The decrypted PrivateKeyInfo; nothing when the padding is wrong, as with most wrong passphrases.
std::optional<Secret> decrypt(const EncryptedKey& key, const Secret& derived) {
  const CipherPtr cipher{EVP_CIPHER_fetch(nullptr, std::string{key.cipher}.c_str(), nullptr)};
  const CipherContextPtr context{EVP_CIPHER_CTX_new()};
  std::vector<std::byte> room(key.data.size() + kAesBlock);
  Secret plain{std::move(room)};
  int size = 0;
  int rest = 0;
  const auto out = plain.writable();
  if (!cipher || !context ||
      EVP_DecryptInit_ex2(context.get(), cipher.get(), as_uchar(derived.bytes().data()),
                          as_uchar(key.iv.data()), nullptr) != 1 ||
      EVP_DecryptUpdate(context.get(), as_uchar(out.data()), &size, as_uchar(key.data.data()),
                        static_cast<int>(key.data.size())) != 1 ||
      EVP_DecryptFinal_ex(context.get(),
                          as_uchar(out.subspan(static_cast<std::size_t>(size)).data()),
                          &rest) != 1) {
    return std::nullopt;
  }
  plain.shorten(static_cast<std::size_t>(size) + static_cast<std::size_t>(rest));
  return plain;
}

std::optional<PemBlock> first_private_block(std::string_view pem) {
  for (auto block = next_pem_block(pem); block; block = next_pem_block(block->rest)) {
    if (block->label.ends_with("PRIVATE KEY")) {
      return block;
    }
  }
  return std::nullopt;
}

// PBES2 with scrypt and AES-256-CBC under a fresh salt and initialisation vector.
EncryptedInfoPtr seal(const PkeyPtr::pointer pkey, std::string_view passphrase) {
  std::array<unsigned char, kSaltSize> salt = {};
  const CipherPtr cipher{EVP_CIPHER_fetch(nullptr, "AES-256-CBC", nullptr)};
  const PlainInfoPtr plain{EVP_PKEY2PKCS8(pkey)};
  if (!cipher || !plain || RAND_bytes(salt.data(), salt.size()) != 1) {
    return nullptr;
  }
  AlgorithmPtr scheme{PKCS5_pbe2_set_scrypt(cipher.get(), salt.data(), salt.size(), nullptr,
                                            kScryptN, kScryptR, kScryptP)};
  if (!scheme) {
    return nullptr;
  }
  EncryptedInfoPtr sealed{PKCS8_set0_pbe(passphrase.data(), static_cast<int>(passphrase.size()),
                                         plain.get(), scheme.get())};
  if (sealed) {
    // NOLINTNEXTLINE(bugprone-unused-return-value): owned by `sealed` now.
    static_cast<void>(scheme.release());
  }
  return sealed;
}

// Asks until the passphrase is right or there was one wrong too many.
Result<PrivateKey> open_key(std::string_view pem, std::string_view what, SecretSource& secrets) {
  for (unsigned attempt = 1;; ++attempt) {
    SPHERE_TRY_ASSIGN(const auto passphrase, secrets.get(SecretKind::passphrase, what));
    auto key = decrypt_key(pem, passphrase);
    if (key || key.error().code() != Errc::unverified) {
      return key;
    }
    if (attempt >= secrets.attempts()) {
      return fail(Errc::unverified, fmt::format("wrong passphrase for {}, or it is damaged", what),
                  {.reason = "key.locked",
                   .value = std::string{what},
                   .next = "try again with the right passphrase"});
    }
  }
}

}  // namespace

bool is_encrypted_key(std::string_view pem) {
  const auto block = first_private_block(pem);
  return block && (block->encrypted || block->label == kEncryptedLabel);
}

std::optional<std::string_view> encrypted_key_block(std::string_view pem) {
  const auto block = first_private_block(pem);
  return block && block->label == kEncryptedLabel ? std::optional{block->text} : std::nullopt;
}

Result<PrivateKey> decrypt_encrypted_key(const EncryptedKey& key, const Secret& passphrase) {
  initialise_library();
  Secret derived{std::vector<std::byte>(key.key_size)};
  const bool made = std::visit(
      [&](const auto& how) { return derive(how, passphrase.text(), derived.writable()); },
      key.derivation);
  if (!made) {
    return tl::make_unexpected(openssl_error("derive a key from the passphrase"));
  }
  const auto plain = decrypt(key, derived);
  ERR_clear_error();
  if (!plain) {
    return tl::make_unexpected(wrong_passphrase());
  }
  auto result = private_key_from_pkcs8(plain->bytes());
  // One wrong passphrase in 256 leaves a good padding and bytes that are no structure.
  if (!result && result.error().code() == Errc::corrupt) {
    return tl::make_unexpected(wrong_passphrase());
  }
  return result;
}

Result<PrivateKey> decrypt_key(std::string_view pem, const Secret& passphrase) {
  initialise_library();
  const auto block = first_private_block(pem);
  if (!block || block->label != kEncryptedLabel) {
    return PrivateKey::from_pem(pem);
  }
  if (!block->der) {
    return fail(Errc::corrupt, "malformed encrypted key: its base64", {.reason = "key.refused"});
  }
  SPHERE_TRY_ASSIGN(const auto key, read_encrypted_key(block->der->bytes()));
  return decrypt_encrypted_key(key, passphrase);
}

Result<Secret> encrypt_key(const PrivateKey& key, const Secret& passphrase) {
  initialise_library();
  if (passphrase.bytes().empty() || passphrase.bytes().size() > kMaxPassphrase) {
    return fail(Errc::invalid_argument,
                fmt::format("a passphrase has 1 to {} bytes, this one has {}", kMaxPassphrase,
                            passphrase.bytes().size()),
                {.reason = "usage.bad-value", .next = "choose another passphrase"});
  }
  const auto sealed = seal(key.handle().pkey.get(), passphrase.text());
  const BioPtr memory{BIO_new(BIO_s_mem())};
  if (!sealed || !memory || PEM_write_bio_PKCS8(memory.get(), sealed.get()) != 1) {
    return tl::make_unexpected(openssl_error("encrypt the key"));
  }
  char* text = nullptr;
  const long size = BIO_get_mem_data(memory.get(), &text);  // NOLINT: OpenSSL's macro casts.
  const auto bytes = std::as_bytes(std::span{text, static_cast<std::size_t>(size)});
  return Secret{{bytes.begin(), bytes.end()}};
}

Result<PrivateKey> read_private_key(std::string_view pem, std::string_view what,
                                    SecretSource* secrets) {
  const auto block = first_private_block(pem);
  if (!block || block->label != kEncryptedLabel) {
    return PrivateKey::from_pem(pem);
  }
  if (block->der) {
    // Nobody types a passphrase for what cannot be read anyway.
    SPHERE_TRY(read_encrypted_key(block->der->bytes()));
  }
  return secrets == nullptr ? tl::make_unexpected(locked(what)) : open_key(pem, what, *secrets);
}

}  // namespace sphere::crypto
