// SPDX-License-Identifier: MIT
#include "sphere/crypto/seal.h"

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <tl/expected.hpp>

#include "libsdk/src/crypto/openssl.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/crypto/library.h"
#include "sphere/crypto/secret.h"

namespace sphere::crypto {
namespace {

constexpr std::size_t kNonce = 12;
constexpr std::size_t kTag = 16;

using CipherPtr = std::unique_ptr<EVP_CIPHER_CTX, Free<EVP_CIPHER_CTX_free>>;

const unsigned char* text_bytes(std::string_view text) {
  return as_uchar(std::as_bytes(std::span{text}).data());
}

}  // namespace

Result<SealingKey> SealingKey::load_or_create(const std::filesystem::path& path) {
  initialise_library();
  std::error_code error;
  if (!std::filesystem::exists(path, error)) {
    std::vector<std::byte> fresh(kSize);
    if (RAND_bytes(as_uchar(fresh.data()), static_cast<int>(fresh.size())) != 1) {
      return tl::make_unexpected(openssl_error("make a sealing key"));
    }
    const Secret key{std::move(fresh)};
    SPHERE_TRY(write_file(path, key.bytes(), {.mode = 0600}));
  }
  SPHERE_TRY_ASSIGN(auto key, read_private_text(path));
  if (key.bytes().size() != kSize) {
    return fail(Errc::corrupt, path.string() + " holds no sealing key of 32 bytes",
                {.reason = "local.file-unreadable", .value = path.string()});
  }
  return SealingKey{std::move(key)};
}

Result<std::vector<std::byte>> SealingKey::seal(std::span<const std::byte> plain,
                                                std::string_view purpose) const {
  std::vector<std::byte> sealed(kOverhead + plain.size());
  const auto nonce = std::span{sealed}.first<kNonce>();
  const auto tag = std::span{sealed}.subspan<kNonce, kTag>();
  const auto body = std::span{sealed}.subspan(kOverhead);
  const CipherPtr cipher{EVP_CIPHER_CTX_new()};
  int count = 0;
  if (!cipher || RAND_bytes(as_uchar(nonce.data()), kNonce) != 1 ||
      EVP_EncryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, as_uchar(key_.bytes().data()),
                         as_uchar(nonce.data())) != 1 ||
      EVP_EncryptUpdate(cipher.get(), nullptr, &count, text_bytes(purpose),
                        static_cast<int>(purpose.size())) != 1 ||
      EVP_EncryptUpdate(cipher.get(), as_uchar(body.data()), &count, as_uchar(plain.data()),
                        static_cast<int>(plain.size())) != 1 ||
      EVP_EncryptFinal_ex(cipher.get(), as_uchar(body.data()), &count) != 1 ||
      EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_GET_TAG, kTag, tag.data()) != 1) {
    return tl::make_unexpected(openssl_error("seal a secret"));
  }
  return sealed;
}

Result<Secret> SealingKey::open(std::span<const std::byte> sealed, std::string_view purpose) const {
  const auto refused = [] {
    return fail(Errc::unverified, "a sealed secret was changed or belongs to another board",
                {.reason = "key.refused"});
  };
  if (sealed.size() < kOverhead) {
    return refused();
  }
  const auto body = sealed.subspan(kOverhead);
  std::vector<std::byte> tag{sealed.begin() + kNonce, sealed.begin() + kOverhead};
  std::vector<std::byte> plain(body.size());
  const CipherPtr cipher{EVP_CIPHER_CTX_new()};
  int count = 0;
  const bool good =
      cipher &&
      EVP_DecryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, as_uchar(key_.bytes().data()),
                         as_uchar(sealed.data())) == 1 &&
      EVP_DecryptUpdate(cipher.get(), nullptr, &count, text_bytes(purpose),
                        static_cast<int>(purpose.size())) == 1 &&
      EVP_DecryptUpdate(cipher.get(), as_uchar(plain.data()), &count, as_uchar(body.data()),
                        static_cast<int>(body.size())) == 1 &&
      EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_SET_TAG, kTag, tag.data()) == 1 &&
      EVP_DecryptFinal_ex(cipher.get(), as_uchar(plain.data()), &count) == 1;
  Secret secret{std::move(plain)};
  if (!good) {
    ERR_clear_error();
    return refused();
  }
  return secret;
}

}  // namespace sphere::crypto
