// SPDX-License-Identifier: MIT
#include "sphere/crypto/key.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "sphere/core/encoding.h"
#include "sphere/core/file.h"
#include "sphere/core/process.h"
#include "sphere/core/result.h"
#include "sphere/crypto/digest.h"
#include "sphere/crypto/signer.h"
#include "tests/support/skip.h"

using sphere::Errc;
using sphere::crypto::kSignatureSize;
using sphere::crypto::PrivateKey;
using sphere::crypto::PublicKey;
using sphere::crypto::Sha256Digest;
using sphere::crypto::Signature;

namespace {

// The test key of this suite: scalar = SHA-256("sphere golden key 1"), its point, and both of the
// forms that `openssl` writes.
constexpr std::string_view kScalar =
    "ff7d778eb49a664d002c04ac15b0f1140f24ffb1d63b071e94b868168afa7904";
constexpr std::string_view kPoint =
    "8970228bc0aefd18617ad2c15d1eefcc0c89f5e3a08048dc4ab59a9c2598b0b2"
    "3f9b6bd22a2ec135613baca5d4653b76f9b97222b94be9693a381546c976a8cd";
constexpr std::string_view kKeyId =
    "0a4e3fee1fe7fc1cf8a3ec113ce8c14ef3db903cc53fc9c7f5bff40a85272a17";
constexpr std::string_view kOrder =
    "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
constexpr std::string_view kOrderPlusOne =
    "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632552";
constexpr std::string_view kAlgorithm = "301306072a8648ce3d020106082a8648ce3d030107";

std::string pem(std::string_view label, std::string_view hex) {
  return "-----BEGIN " + std::string{label} + "-----\n" +
         sphere::to_base64(*sphere::from_hex(hex)) + "\n-----END " + std::string{label} + "-----\n";
}

std::string sec1_hex(std::string_view scalar, std::string_view point) {
  return "30770201010420" + std::string{scalar} + "a00a06082a8648ce3d030107a14403420004" +
         std::string{point};
}

std::string pkcs8_hex(std::string_view algorithm, std::string_view scalar, std::string_view point) {
  return "308187020100" + std::string{algorithm} + "046d306b0201010420" + std::string{scalar} +
         "a14403420004" + std::string{point};
}

PrivateKey golden_key() {
  auto key = PrivateKey::from_pem(pem("EC PRIVATE KEY", sec1_hex(kScalar, kPoint)));
  REQUIRE(key);
  return *std::move(key);
}

std::array<std::byte, 64> point_bytes() {
  std::array<std::byte, 64> xy = {};
  std::ranges::copy(*sphere::from_hex(kPoint), xy.begin());
  return xy;
}

}  // namespace

TEST_CASE("a private key is read from SEC1 and from PKCS#8, and gives its public half",
          "[crypto]") {
  const auto sec1 = golden_key();
  const auto pkcs8 =
      PrivateKey::from_pem(pem("PRIVATE KEY", pkcs8_hex(kAlgorithm, kScalar, kPoint)));
  REQUIRE(pkcs8);

  CHECK(sphere::to_hex(sec1.public_key().point()) == kPoint);
  CHECK(sphere::to_hex(sec1.public_key().id()) == kKeyId);
  CHECK(sec1.public_key() == pkcs8->public_key());
  CHECK(sec1.public_key().spki().size() == 91);
}

TEST_CASE("a private key without its public half is completed", "[crypto]") {
  const auto key = PrivateKey::from_pem(
      pem("EC PRIVATE KEY", "30310201010420" + std::string{kScalar} + "a00a06082a8648ce3d030107"));
  REQUIRE(key);
  CHECK(sphere::to_hex(key->public_key().point()) == kPoint);
}

TEST_CASE("to_pem then from_pem gives the same key", "[crypto]") {
  const auto key = PrivateKey::generate();
  REQUIRE(key);
  const auto text = key->to_pem();

  CHECK(text.text().starts_with("-----BEGIN PRIVATE KEY-----\n"));
  const auto again = PrivateKey::from_pem(text.text());
  REQUIRE(again);
  CHECK(again->public_key() == key->public_key());
}

TEST_CASE("what was signed verifies, and nothing else does", "[crypto]") {
  const auto key = golden_key();
  const auto digest = sphere::crypto::sha256(std::as_bytes(std::span{"message", 7}));
  const auto signature = key.sign(digest);
  REQUIRE(signature);

  CHECK(key.public_key().verify(digest, *signature));
  auto other = digest;
  other[31] ^= std::byte{1};
  CHECK(key.public_key().verify(other, *signature).error().code() == Errc::unverified);
  for (std::size_t i = 0; i < kSignatureSize; ++i) {
    auto damaged = *signature;
    damaged[i] ^= std::byte{0x10};
    CHECK_FALSE(key.public_key().verify(digest, damaged));
  }
  const auto stranger = PrivateKey::generate();
  REQUIRE(stranger);
  CHECK_FALSE(stranger->public_key().verify(digest, *signature));
}

TEST_CASE("a signature with r or s of 0, n or n + 1 is refused", "[crypto]") {
  const auto key = golden_key();
  const Sha256Digest digest = {};
  const auto good = key.sign(digest);
  REQUIRE(good);
  const auto half = GENERATE(std::size_t{0}, std::size_t{32});
  const auto number = GENERATE(std::string(64, '0'), std::string{kOrder},
                               std::string{kOrderPlusOne}, std::string(64, 'f'));
  INFO(half << " " << number);

  Signature signature = *good;
  std::ranges::copy(*sphere::from_hex(number), std::span{signature}.subspan(half, 32).begin());

  const auto verified = key.public_key().verify(digest, signature);
  REQUIRE_FALSE(verified);
  CHECK(verified.error().code() == Errc::unverified);
  CHECK(verified.error().hint().reason == "package.untrusted");
}

TEST_CASE("a public key is read from SPKI, from PEM and from a point", "[crypto]") {
  const auto point = PublicKey::from_point(point_bytes());
  REQUIRE(point);
  const auto spki = PublicKey::from_spki(point->spki());
  REQUIRE(spki);
  const auto text = PublicKey::from_pem(pem("PUBLIC KEY", sphere::to_hex(point->spki())));
  REQUIRE(text);

  CHECK(*spki == *point);
  CHECK(*text == *point);
  CHECK(sphere::to_hex(point->id()) == kKeyId);
}

TEST_CASE("a point that is not on the curve is no public key", "[crypto]") {
  auto xy = point_bytes();
  xy[63] ^= std::byte{1};
  CHECK(PublicKey::from_point(xy).error().code() == Errc::corrupt);
  CHECK(PublicKey::from_point(std::array<std::byte, 64>{}).error().code() == Errc::corrupt);
}

TEST_CASE("a damaged or foreign key is refused with the cause", "[crypto]") {
  struct Case {
    std::string name;
    std::string text;
    Errc code;
  };
  const auto wrong_half = std::string(128, '1');
  const auto secp384r1 = "301006072a8648ce3d020106052b81040022";
  const auto test = GENERATE_COPY(values<Case>({
      {"no PEM", "hello", Errc::corrupt},
      {"cut", "-----BEGIN PRIVATE KEY-----\nMIGH", Errc::corrupt},
      {"not base64", "-----BEGIN PRIVATE KEY-----\n!!!!\n-----END PRIVATE KEY-----", Errc::corrupt},
      {"other end", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PUBLIC KEY-----", Errc::corrupt},
      {"halves of two keys", pem("EC PRIVATE KEY", sec1_hex(kScalar, wrong_half)), Errc::corrupt},
      {"scalar 0", pem("EC PRIVATE KEY", sec1_hex(std::string(64, '0'), kPoint)), Errc::corrupt},
      {"scalar n", pem("EC PRIVATE KEY", sec1_hex(kOrder, kPoint)), Errc::corrupt},
      {"encrypted", pem("ENCRYPTED PRIVATE KEY", "3000"), Errc::unsupported},
      {"encrypted SEC1",
       "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END EC PRIVATE "
       "KEY-----",
       Errc::unsupported},
      {"RSA", pem("RSA PRIVATE KEY", "3000"), Errc::unsupported},
      {"RSA in PKCS#8", pem("PRIVATE KEY", "3012020100300d06092a864886f70d0101010500"),
       Errc::unsupported},
      {"another curve", pem("PRIVATE KEY", "301502010030100607" + std::string{secp384r1}.substr(8)),
       Errc::unsupported},
      {"SEC1 without a curve", pem("EC PRIVATE KEY", "30250201010420" + std::string{kScalar}),
       Errc::unsupported},
      {"trailing byte", pem("EC PRIVATE KEY", sec1_hex(kScalar, kPoint) + "00"), Errc::corrupt},
  }));
  INFO(test.name);

  const auto key = PrivateKey::from_pem(test.text);

  REQUIRE_FALSE(key);
  CHECK(key.error().code() == test.code);
  CHECK(key.error().hint().reason == "key.refused");
}

TEST_CASE("a key truncated anywhere is refused", "[crypto]") {
  const auto sec1 = *sphere::from_hex(sec1_hex(kScalar, kPoint));
  const auto spki = golden_key().public_key().spki();
  for (std::size_t size = 0; size < sec1.size(); ++size) {
    CHECK_FALSE(
        PrivateKey::from_pem(pem("EC PRIVATE KEY", sphere::to_hex(std::span{sec1}.first(size)))));
  }
  for (std::size_t size = 0; size < spki.size(); ++size) {
    CHECK_FALSE(PublicKey::from_spki(std::span{spki}.first(size)));
  }
}

TEST_CASE("a compressed point and a foreign algorithm are unsupported public keys", "[crypto]") {
  const auto compressed = *sphere::from_hex("3039" + std::string{kAlgorithm} + "03220002" +
                                            std::string{kPoint}.substr(0, 64));
  CHECK(PublicKey::from_spki(compressed).error().code() == Errc::unsupported);
  const auto ed25519 = *sphere::from_hex("302a300506032b6570032100" + std::string(64, '1'));
  CHECK(PublicKey::from_spki(ed25519).error().code() == Errc::unsupported);
  CHECK(PublicKey::from_pem("nothing").error().code() == Errc::corrupt);
}

TEST_CASE("a key file that others may read is refused", "[crypto]") {
  const auto directory = sphere::TemporaryDirectory::create();
  REQUIRE(directory);
  const auto path = directory->path() / "key.pem";
  const auto text = pem("EC PRIVATE KEY", sec1_hex(kScalar, kPoint));
  REQUIRE(sphere::write_file(path, text, {.mode = 0640}));

  const auto refused = PrivateKey::from_file(path);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code() == Errc::permission);
  CHECK(refused.error().hint().reason == "key.refused");
  CHECK(refused.error().hint().next == "chmod 600 " + path.string());

  REQUIRE(sphere::write_file(path, text, {.mode = 0600}));
  CHECK(PrivateKey::from_file(path));
}

TEST_CASE("a key file that is missing, no file, too large or no key is refused", "[crypto]") {
  const auto directory = sphere::TemporaryDirectory::create();
  REQUIRE(directory);
  const auto path = directory->path() / "key.pem";

  CHECK(PrivateKey::from_file(path).error().code() == Errc::not_found);
  CHECK(PrivateKey::from_file(directory->path()).error().code() == Errc::invalid_argument);
  REQUIRE(sphere::write_file(path, std::string(65537, 'x'), {.mode = 0600}));
  CHECK(PrivateKey::from_file(path).error().code() == Errc::too_large);
  REQUIRE(sphere::write_file(path, "x", {.mode = 0600}));
  CHECK(PrivateKey::from_file(path).error().code() == Errc::corrupt);
}

TEST_CASE("a KeySigner signs every digest; its thumbprint is that of the key without a certificate",
          "[crypto]") {
  const sphere::crypto::KeySigner signer{golden_key(), std::nullopt};
  const std::array<Sha256Digest, 2> digests = {sphere::crypto::sha256({}), Sha256Digest{}};

  const auto signatures = signer.sign(digests);

  REQUIRE(signatures);
  REQUIRE(signatures->size() == 2);
  CHECK(signer.public_key().verify(digests[0], signatures->at(0)));
  CHECK(signer.public_key().verify(digests[1], signatures->at(1)));
  CHECK(signer.thumbprint() == sphere::crypto::sha1(signer.public_key().spki()));
}

TEST_CASE("openssl reads our key and verifies our signature", "[crypto]") {
  const auto found = sphere::run_captured({.program = "openssl", .arguments = {"version"}},
                                          std::chrono::seconds{10});
  SKIP_UNLESS(found && found->status.success(), "no openssl: package openssl");
  const auto directory = sphere::TemporaryDirectory::create();
  REQUIRE(directory);
  const auto key = PrivateKey::generate();
  REQUIRE(key);
  const auto path = directory->path() / "key.pem";
  REQUIRE(sphere::write_file(path, key->to_pem().bytes(), {.mode = 0600}));

  const auto spki = sphere::run_captured(
      {.program = "openssl",
       .arguments = {"pkey", "-in", path.string(), "-pubout", "-out", path.string() + ".pub"}},
      std::chrono::seconds{10});

  REQUIRE((spki && spki->status.success()));
  const auto text = sphere::read_text_file(path.string() + ".pub", 4096);
  REQUIRE(text);
  CHECK(*PublicKey::from_pem(*text) == key->public_key());
}
