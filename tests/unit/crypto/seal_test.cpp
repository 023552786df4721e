// SPDX-License-Identifier: MIT
#include "sphere/crypto/seal.h"

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include <catch2/catch.hpp>

#include "sphere/core/file.h"
#include "sphere/crypto/certificate.h"
#include "sphere/crypto/credential.h"
#include "sphere/crypto/key.h"

namespace {

using namespace sphere;          // NOLINT(google-build-using-namespace): test
using namespace sphere::crypto;  // NOLINT(google-build-using-namespace): test

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span{text});
}

}  // namespace

TEST_CASE("a sealed secret opens with its key and its purpose, unchanged only") {
  const auto folder = TemporaryDirectory::create().value();
  const auto key = SealingKey::load_or_create(folder.path() / "key").value();
  auto sealed = key.seal(bytes_of("secret"), "a").value();
  CHECK(sealed.size() == 6 + SealingKey::kOverhead);
  CHECK(key.seal(bytes_of("secret"), "a").value() != sealed);

  const auto again = SealingKey::load_or_create(folder.path() / "key").value();
  CHECK(again.open(sealed, "a")->text() == "secret");
  CHECK_FALSE(again.open(sealed, "b"));
  CHECK_FALSE(SealingKey::load_or_create(folder.path() / "other")->open(sealed, "a"));
  CHECK_FALSE(again.open(std::span{sealed}.first(27), "a"));
  for (auto& byte : sealed) {
    byte ^= std::byte{1};
    CHECK_FALSE(again.open(sealed, "a"));
    byte ^= std::byte{1};
  }
}

TEST_CASE("a sealing key of another size or that others may read is refused") {
  const auto folder = TemporaryDirectory::create().value();
  REQUIRE(write_file(folder.path() / "short", "abc", {.mode = 0600}));
  CHECK(SealingKey::load_or_create(folder.path() / "short").error().code() == Errc::corrupt);
  REQUIRE(write_file(folder.path() / "open", std::string(32, 'x'), {.mode = 0644}));
  CHECK(SealingKey::load_or_create(folder.path() / "open").error().code() == Errc::permission);
}

TEST_CASE("a credential's key is opened, checked against its certificate and told apart") {
  const auto key = PrivateKey::generate().value();
  const auto certificate =
      make_certificate({.common_name = "A", .not_before = 0, .not_after = 2000000000},
                       key.public_key(), key)
          ->pem();
  const std::string pem{key.to_pem().text()};
  const auto fault = [&](std::string_view text, std::string_view password) {
    return open_credential_key(certificate, text, password).fault;
  };
  CHECK(fault(pem, "") == KeyFault::none);
  CHECK(fault(pem, "x") == KeyFault::password_unneeded);
  CHECK(fault("nothing", "") == KeyFault::not_a_key);
  const std::string other{PrivateKey::generate()->to_pem().text()};
  CHECK(fault(other, "") == KeyFault::mismatch);
  CHECK(describe_certificate(certificate)->subject == "/CN=A");
  CHECK_FALSE(describe_certificate("nothing"));
}
