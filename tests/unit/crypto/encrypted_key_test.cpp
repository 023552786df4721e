// SPDX-License-Identifier: MIT
#include "sphere/crypto/encrypted_key.h"

#include <array>
#include <chrono>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "libsdk/src/crypto/encryption_scheme.h"
#include "sphere/core/encoding.h"
#include "sphere/core/file.h"
#include "sphere/core/process.h"
#include "sphere/core/result.h"
#include "sphere/crypto/key.h"
#include "sphere/crypto/secret.h"
#include "sphere/crypto/secret_source.h"
#include "tests/support/skip.h"

using sphere::Errc;
using sphere::crypto::decrypt_key;
using sphere::crypto::encrypt_key;
using sphere::crypto::PrivateKey;
using sphere::crypto::Secret;
using sphere::crypto::SecretKind;

namespace {

Secret secret(std::string_view text) {
  const auto bytes = std::as_bytes(std::span{text});
  return Secret{{bytes.begin(), bytes.end()}};
}

// Gives one passphrase after the other and counts how often it was asked.
class Script final : public sphere::crypto::SecretSource {
 public:
  explicit Script(std::vector<std::string> lines) : lines_{std::move(lines)} {}
  sphere::Result<Secret> get(SecretKind /*kind*/, std::string_view /*what*/) override {
    return secret(lines_.at(asked++));
  }
  [[nodiscard]] unsigned attempts() const override { return 3; }
  std::size_t asked = 0;

 private:
  std::vector<std::string> lines_;
};

std::vector<std::byte> hex(std::string_view text) { return sphere::from_hex(text).value(); }

// An EncryptedPrivateKeyInfo with scrypt's numbers as DER integers.
std::vector<std::byte> with_scrypt(const std::string& n, const std::string& r,
                                   const std::string& p) {
  const auto tlv = [](const std::string& tag, const std::string& content) {
    return tag + sphere::to_hex(std::vector{std::byte(content.size() / 2)}) + content;
  };
  const auto numbers = tlv("04", "0102030405060708") + tlv("02", n) + tlv("02", r) + tlv("02", p);
  const auto kdf = tlv("30", "06092b06010401da47040b" + tlv("30", numbers));
  const auto cipher = tlv("30", "060960864801650304012a" + tlv("04", std::string(32, '0')));
  const auto scheme = tlv("30", "06092a864886f70d01050d" + tlv("30", kdf + cipher));
  return hex(tlv("30", scheme + tlv("04", std::string(32, '0'))));
}

}  // namespace

TEST_CASE("an encrypted key opens with its passphrase only", "[crypto]") {
  const auto key = PrivateKey::generate().value();

  const auto text = encrypt_key(key, secret("correct horse"));

  REQUIRE(text);
  CHECK(text->text().starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
  CHECK(sphere::crypto::is_encrypted_key(text->text()));
  CHECK_FALSE(sphere::crypto::is_encrypted_key(key.to_pem().text()));
  CHECK(decrypt_key(text->text(), secret("correct horse"))->public_key() == key.public_key());
  const auto wrong = decrypt_key(text->text(), secret("wrong horse"));
  CHECK(wrong.error().code() == Errc::unverified);
  CHECK(wrong.error().hint().reason == "key.locked");
  CHECK(PrivateKey::from_pem(text->text()).error().code() == Errc::unsupported);
}

TEST_CASE("a passphrase has 1 to 1024 bytes", "[crypto]") {
  const auto key = PrivateKey::generate().value();

  CHECK(encrypt_key(key, secret("")).error().code() == Errc::invalid_argument);
  CHECK(encrypt_key(key, secret(std::string(1025, 'x'))).error().code() == Errc::invalid_argument);
}

TEST_CASE("openssl's encrypted keys are read, and openssl reads ours", "[crypto]") {
  const auto openssl = [](std::vector<std::string> words) {
    const auto done = sphere::run_captured({.program = "openssl", .arguments = std::move(words)},
                                           std::chrono::seconds{30});
    return done && done->status.code == 0;
  };
  SKIP_UNLESS(openssl({"version"}), "openssl is not installed (package openssl)");
  const auto directory = sphere::TemporaryDirectory::create().value();
  const auto plain = directory.path() / "plain.pem";
  const auto sealed = directory.path() / "sealed.pem";
  const auto key = PrivateKey::generate().value();
  REQUIRE(sphere::write_file(plain, key.to_pem().text(), {.mode = 0600}));
  for (const auto& scheme : std::vector<std::vector<std::string>>{
           {"-v2", "aes-256-cbc"},
           {"-v2", "aes-128-cbc", "-v2prf", "hmacWithSHA512", "-iter", "1000"},
           {"-v2", "aes-192-cbc", "-v2prf", "hmacWithSHA1"},
           {"-scrypt"}}) {
    std::vector<std::string> words = {"pkcs8", "-topk8", "-in",      plain.string(),
                                      "-out",  sealed,   "-passout", "pass:test"};
    words.insert(words.end(), scheme.begin(), scheme.end());
    REQUIRE(openssl(words));
    const auto text = sphere::read_text_file(sealed, 65536).value();
    const auto opened = decrypt_key(text, secret("test"));
    REQUIRE(opened);
    CHECK(opened->public_key() == key.public_key());
  }
  REQUIRE(sphere::write_file(sealed, encrypt_key(key, secret("ours"))->text(), {.mode = 0600}));
  CHECK(openssl({"pkey", "-in", sealed, "-passin", "pass:ours", "-noout"}));
  CHECK_FALSE(openssl({"pkey", "-in", sealed, "-passin", "pass:other", "-noout"}));
  REQUIRE(openssl(
      {"pkcs8", "-topk8", "-in", plain, "-out", sealed, "-passout", "pass:test", "-v2", "des3"}));
  const auto old = sphere::read_text_file(sealed, 65536).value();
  CHECK(decrypt_key(old, secret("test")).error().code() == Errc::unsupported);
}

TEST_CASE("a passphrase is asked for again until it is right or three were wrong", "[crypto]") {
  const auto key = PrivateKey::generate().value();
  const auto text = encrypt_key(key, secret("right"));
  REQUIRE(text);

  Script second{{"wrong", "right"}};
  CHECK(sphere::crypto::read_private_key(text->text(), "k", &second));
  CHECK(second.asked == 2);
  Script never{{"a", "b", "c", "d"}};
  CHECK_FALSE(sphere::crypto::read_private_key(text->text(), "k", &never));
  CHECK(never.asked == 3);
  CHECK(sphere::crypto::read_private_key(text->text(), "k", nullptr).error().hint().reason ==
        "key.locked");
  Script unused{{}};
  CHECK(sphere::crypto::read_private_key(key.to_pem().text(), "k", &unused));
}

TEST_CASE("an encrypted key that costs too much is refused before anything is derived",
          "[crypto]") {
  CHECK(sphere::crypto::read_encrypted_key(with_scrypt("4000", "08", "05")));
  CHECK(sphere::crypto::read_encrypted_key(with_scrypt("010000", "08", "10")));
  for (const auto& [n, r, p] : std::vector<std::array<std::string, 3>>{
           {"020000", "08", "01"},            // 128 MiB
           {"40000000", "7fffffff", "01"},    // wraps in 64 bits if multiplied by 128 in a hurry
           {"4000000000000000", "08", "01"},  // 2^62
           {"010000", "08", "11"},            // more than 1 GiB over all p
           {"02", "01", "7fffffffffffffff"}}) {
    INFO(n << ' ' << r << ' ' << p);
    CHECK(sphere::crypto::read_encrypted_key(with_scrypt(n, r, p)).error().code() ==
          Errc::too_large);
  }
  for (const auto& [n, r, p] : std::vector<std::array<std::string, 3>>{{"4001", "08", "05"},
                                                                       {"01", "08", "01"},
                                                                       {"4000", "00", "01"},
                                                                       {"4000", "08", "00"},
                                                                       {"ff", "08", "01"},
                                                                       {"004000", "08", "01"}}) {
    INFO(n << ' ' << r << ' ' << p);
    CHECK(sphere::crypto::read_encrypted_key(with_scrypt(n, r, p)).error().code() == Errc::corrupt);
  }
}

TEST_CASE("an encrypted key cut anywhere or with a byte more is corrupt", "[crypto]") {
  const auto whole = with_scrypt("4000", "08", "05");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CHECK_FALSE(sphere::crypto::read_encrypted_key(std::span{whole}.first(size)));
  }
  auto longer = whole;
  longer.push_back(std::byte{0});
  CHECK_FALSE(sphere::crypto::read_encrypted_key(longer));
}
