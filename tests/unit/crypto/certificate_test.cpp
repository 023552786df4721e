// SPDX-License-Identifier: MIT
#include "sphere/crypto/certificate.h"

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "sphere/core/encoding.h"
#include "sphere/core/file.h"
#include "sphere/core/process.h"
#include "sphere/core/result.h"
#include "sphere/crypto/digest.h"
#include "sphere/crypto/key.h"
#include "sphere/crypto/signer.h"
#include "tests/support/skip.h"

using sphere::Errc;
using sphere::crypto::Certificate;
using sphere::crypto::CertificateRequest;
using sphere::crypto::make_certificate;
using sphere::crypto::PrivateKey;

namespace {

constexpr std::int64_t kNow = 1'735'689'600;  // 2025-01-01

PrivateKey new_key() {
  auto key = PrivateKey::generate();
  REQUIRE(key);
  return *std::move(key);
}

Certificate authority(const PrivateKey& key) {
  auto made = make_certificate(
      {.common_name = "CA", .not_before = kNow, .not_after = kNow + 1000, .is_ca = true},
      key.public_key(), key);
  REQUIRE(made);
  return *std::move(made);
}

std::optional<std::string> openssl(std::vector<std::string> arguments) {
  auto run = sphere::run_captured({.program = "openssl", .arguments = std::move(arguments)},
                                  std::chrono::seconds{10});
  if (!run || !run->status.success()) {
    return std::nullopt;
  }
  return run->output + run->error;
}

}  // namespace

TEST_CASE("the times of a certificate are UTC, whatever the calendar does", "[crypto]") {
  const auto key = new_key();
  // Leap days, ends of years, and both forms of a time: with two digits of the year and with four.
  for (const std::int64_t time : {0LL, 951'782'399LL, 951'782'400LL, 951'868'800LL, 1'735'689'599LL,
                                  2'524'607'999LL, 2'524'608'000LL, 4'102'444'799LL}) {
    const auto made = make_certificate(
        {.common_name = "t", .not_before = time, .not_after = time + 1}, key.public_key(), key);
    REQUIRE(made);
    CHECK(made->not_before() == time);
    CHECK(made->not_after() == time + 1);
  }
}

TEST_CASE("a self-signed certificate carries its key, name and times", "[crypto]") {
  const auto key = new_key();
  const auto certificate = authority(key);

  CHECK(certificate.public_key() == key.public_key());
  CHECK(certificate.subject() == "CN=CA");
  CHECK(certificate.not_before() == kNow);
  CHECK(certificate.not_after() == kNow + 1000);
  CHECK(certificate.thumbprint() == sphere::crypto::sha1(certificate.der()));
}

TEST_CASE("a certificate survives PEM and DER", "[crypto]") {
  const auto certificate = authority(new_key());

  const auto text = Certificate::from_pem("noise\n" + certificate.pem());
  REQUIRE(text);
  CHECK(text->der() == certificate.der());
  const auto key = sphere::crypto::PublicKey::from_pem(certificate.pem());
  REQUIRE(key);
  CHECK(*key == certificate.public_key());
}

TEST_CASE("a certificate truncated anywhere or followed by a byte is refused", "[crypto]") {
  auto der = authority(new_key()).der();
  for (std::size_t size = 0; size < der.size(); ++size) {
    CHECK_FALSE(Certificate::from_der(std::span{der}.first(size)));
  }
  der.push_back(std::byte{0});
  CHECK(Certificate::from_der(der).error().code() == Errc::corrupt);
  CHECK(Certificate::from_pem("").error().code() == Errc::corrupt);
  CHECK(Certificate::from_pem("-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----")
            .error()
            .code() == Errc::corrupt);
}

TEST_CASE("two certificates of one key have different serial numbers", "[crypto]") {
  const auto key = new_key();
  CHECK(authority(key).der() != authority(key).der());
}

TEST_CASE("a request that makes no sense is refused", "[crypto]") {
  struct Case {
    std::string name;
    CertificateRequest request;
  };
  const auto test = GENERATE(values<Case>({
      {"no name", {.common_name = "", .not_before = 1, .not_after = 2}},
      {"long name", {.common_name = std::string(65, 'x'), .not_before = 1, .not_after = 2}},
      {"ends first", {.common_name = "x", .not_before = 2, .not_after = 1}},
      {"DNS name", {.common_name = "x", .not_before = 1, .not_after = 2, .dns_names = {"a,DNS:b"}}},
      {"empty DNS name",
       {.common_name = "x", .not_before = 1, .not_after = 2, .dns_names = {"*."}}},
      {"address", {.common_name = "x", .not_before = 1, .not_after = 2, .ip_addresses = {"1.2.3"}}},
  }));
  INFO(test.name);
  const auto key = new_key();

  const auto made = make_certificate(test.request, key.public_key(), key);

  REQUIRE_FALSE(made);
  CHECK(made.error().code() == Errc::invalid_argument);
}

TEST_CASE("a certificate by a key that is not the issuer's is refused", "[crypto]") {
  const auto key = new_key();
  const auto other = new_key();
  const auto issuer = authority(key);
  const CertificateRequest request{.common_name = "x", .not_before = 1, .not_after = 2};

  CHECK(make_certificate(request, key.public_key(), other).error().code() ==
        Errc::invalid_argument);
  CHECK(make_certificate(request, other.public_key(), other, &issuer).error().code() ==
        Errc::invalid_argument);
}

TEST_CASE("openssl verifies a leaf for TLS against its authority", "[crypto]") {
  SKIP_UNLESS(openssl({"version"}), "no openssl: package openssl");
  const auto directory = sphere::TemporaryDirectory::create();
  REQUIRE(directory);
  const auto ca_key = new_key();
  const auto issuer = authority(ca_key);
  const auto leaf = make_certificate({.common_name = "board",
                                      .not_before = kNow,
                                      .not_after = kNow + 1000,
                                      .server_auth = true,
                                      .dns_names = {"*.board.sphere.internal"},
                                      .ip_addresses = {"192.168.35.2", "::1"}},
                                     new_key().public_key(), ca_key, &issuer);
  REQUIRE(leaf);
  const auto ca_file = (directory->path() / "ca.pem").string();
  const auto leaf_file = (directory->path() / "leaf.pem").string();
  REQUIRE(sphere::write_file(ca_file, issuer.pem()));
  REQUIRE(sphere::write_file(leaf_file, leaf->pem()));

  CHECK(openssl({"verify", "-x509_strict", "-attime", std::to_string(kNow + 1), "-purpose",
                 "sslserver", "-verify_ip", "192.168.35.2", "-CAfile", ca_file, leaf_file}));
  CHECK(openssl({"verify", "-x509_strict", "-attime", std::to_string(kNow + 1), "-purpose",
                 "sslserver", "-verify_hostname", "a.board.sphere.internal", "-CAfile", ca_file,
                 leaf_file}));
  CHECK_FALSE(openssl({"verify", "-attime", std::to_string(kNow + 1), "-verify_ip", "192.168.35.3",
                       "-CAfile", ca_file, leaf_file}));
  const auto text = openssl({"x509", "-in", leaf_file, "-noout", "-text"});
  REQUIRE(text);
  CHECK(text->find("TLS Web Server Authentication") != std::string::npos);
  CHECK(text->find("CA:FALSE") != std::string::npos);
}
