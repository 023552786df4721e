// SPDX-License-Identifier: MIT
#include "sphere/image/signing_request.h"

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "sphere/core/result.h"
#include "sphere/crypto/digest.h"
#include "sphere/crypto/key.h"

using sphere::Errc;
using sphere::crypto::PrivateKey;
using sphere::image::DetachedSigner;
using sphere::image::read_signature;
using sphere::image::read_signing_request;
using sphere::image::SigningRequest;

namespace {

std::vector<std::byte> bytes_of(std::initializer_list<int> values) {
  std::vector<std::byte> bytes;
  for (const int value : values) {
    bytes.push_back(static_cast<std::byte>(value));
  }
  return bytes;
}

SigningRequest request_for(const PrivateKey& key) {
  SigningRequest request;
  request.digest = sphere::crypto::sha256(std::as_bytes(std::span{"package", 7}));
  request.spki = key.public_key().spki();
  request.file = "a \"quoted\" name";
  request.size = 12'500;
  request.name = "one";
  return request;
}

}  // namespace

TEST_CASE("a signing request is read as it was written", "[image]") {
  const auto key = PrivateKey::generate();
  REQUIRE(key);
  const auto request = request_for(*key);
  const auto text = write_signing_request(request);
  const auto read = read_signing_request(text);
  REQUIRE(read);
  CHECK(read->digest == request.digest);
  CHECK(read->spki == request.spki);
  CHECK(read->file == request.file);
  CHECK(read->size == request.size);
}

TEST_CASE("a signing request cut anywhere is refused", "[image]") {
  const auto key = PrivateKey::generate();
  REQUIRE(key);
  const auto text = write_signing_request(request_for(*key));
  // The last two bytes are the closing brace and the line end.
  for (std::size_t size = 0; size + 2 < text.size(); ++size) {
    INFO(size);
    const auto read = read_signing_request(std::string_view{text}.substr(0, size));
    REQUIRE_FALSE(read);
    CHECK_FALSE(read.error().hint().next.empty());
  }
}

TEST_CASE("signatures are 64 bytes or DER, and nothing else", "[image]") {
  auto der = bytes_of({0x30, 0x08, 0x02, 0x01, 0x05, 0x02, 0x03, 0x00, 0x81, 0x02});
  const auto read = read_signature(der);
  REQUIRE(read);
  CHECK(read->at(31) == std::byte{5});
  CHECK(read->at(62) == std::byte{0x81});
  CHECK(read->at(63) == std::byte{2});
  for (std::size_t size = 0; size < der.size(); ++size) {
    CHECK_FALSE(read_signature(std::span{der}.first(size)));
  }
  der.push_back(std::byte{0});
  CHECK_FALSE(read_signature(der));
  CHECK_FALSE(read_signature(bytes_of({0x30, 0x04, 0x02, 0x01, 0x05, 0x02})));
  CHECK_FALSE(read_signature(std::vector<std::byte>(4000)));
  const std::vector<std::byte> raw(64, std::byte{7});
  CHECK(read_signature(raw)->at(0) == std::byte{7});
}

TEST_CASE("a detached signer gives its signature for its digest only", "[image]") {
  const auto key = PrivateKey::generate();
  const auto other = PrivateKey::generate();
  REQUIRE(key);
  REQUIRE(other);
  const auto request = request_for(*key);
  const auto signature = key->sign(request.digest);
  REQUIRE(signature);
  const auto signer = DetachedSigner::create(request, *signature);
  REQUIRE(signer);
  const std::vector<sphere::crypto::Sha256Digest> digests = {request.digest};
  CHECK(signer->sign(digests)->at(0) == *signature);
  const std::vector<sphere::crypto::Sha256Digest> others = {
      sphere::crypto::sha256(std::as_bytes(std::span{"another", 7}))};
  CHECK(signer->sign(others).error().code() == Errc::unverified);
  const auto forged = other->sign(request.digest);
  REQUIRE(forged);
  CHECK(DetachedSigner::create(request, *forged).error().hint().reason == "key.refused");
}
