// SPDX-License-Identifier: MIT
#include "sphere/crypto/key_store.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <utility>

#include <catch2/catch.hpp>

#include "sphere/core/clock.h"
#include "sphere/core/encoding.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/crypto/certificate.h"
#include "sphere/crypto/key.h"

namespace fs = std::filesystem;
using sphere::Errc;
using sphere::crypto::KeyStore;
using sphere::crypto::KeyUse;

namespace {

class StoppedClock final : public sphere::Clock {
 public:
  [[nodiscard]] std::int64_t unix_seconds() const override { return 1'735'689'600; }
  [[nodiscard]] std::chrono::nanoseconds monotonic() const override { return {}; }
};

struct Fixture {
  Fixture() {
    auto made = sphere::TemporaryDirectory::create();
    REQUIRE(made);
    directory.emplace(*std::move(made));
    store.emplace(directory->path() / "data/keys", clock);
  }
  StoppedClock clock;
  std::optional<sphere::TemporaryDirectory> directory;
  std::optional<KeyStore> store;
};

mode_t mode_of(const fs::path& path) {
  struct stat status = {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  return status.st_mode & 07777U;
}

}  // namespace

TEST_CASE_METHOD(Fixture, "a created key is private, named and certified", "[crypto]") {
  const auto info = store->create("developer", KeyUse::image);
  REQUIRE(info);

  CHECK(mode_of(info->location) == 0600);
  CHECK(mode_of(store->directory()) == 0700);
  const auto key = store->load("developer");
  REQUIRE(key);
  CHECK(key->info.id == info->id);
  CHECK(key->info.created == 1'735'689'600);
  CHECK(key->certificate.subject() ==
        "CN=Sphere developer " + sphere::to_hex(info->id).substr(0, 8));
  CHECK(key->certificate.public_key() == key->key.public_key());
  CHECK(key->certificate.not_after() - key->certificate.not_before() >=
        std::int64_t{20} * 365 * 86400);
}

TEST_CASE_METHOD(Fixture, "an existing key is never replaced", "[crypto]") {
  const auto first = store->create("a", KeyUse::image);
  REQUIRE(first);

  const auto second = store->create("a", KeyUse::image);

  REQUIRE_FALSE(second);
  CHECK(second.error().code() == Errc::exists);
  CHECK(store->load("a")->info.id == first->id);
}

TEST_CASE_METHOD(Fixture, "an unusable name is refused before anything is written", "[crypto]") {
  const auto name = GENERATE(values<std::string>(
      {"", ".a", "../a", "a/b", "a b", std::string(65, 'a'), std::string("a\0b", 3)}));
  CHECK(store->create(name, KeyUse::image).error().code() == Errc::invalid_argument);
  CHECK(store->load(name).error().code() == Errc::invalid_argument);
  CHECK_FALSE(fs::exists(store->directory()));
}

TEST_CASE_METHOD(Fixture, "a missing key is named with near names", "[crypto]") {
  REQUIRE(store->create("developer", KeyUse::image));

  const auto missing = store->load("develper");

  REQUIRE_FALSE(missing);
  CHECK(missing.error().code() == Errc::not_found);
  CHECK(missing.error().hint().reason == "key.not-found");
  CHECK(missing.error().hint().next == "did you mean developer?");
}

TEST_CASE_METHOD(Fixture, "load_or_create makes a key once", "[crypto]") {
  const auto first = store->load_or_create("developer", KeyUse::image);
  const auto second = store->load_or_create("developer", KeyUse::image);
  REQUIRE((first && second));
  CHECK(first->info.id == second->info.id);
}

TEST_CASE_METHOD(Fixture, "list is sorted and goes on past a file that is no key, which it names",
                 "[crypto]") {
  CHECK(store->list().keys.empty());
  REQUIRE(store->create("b", KeyUse::device_api_ca));
  REQUIRE(store->create("a", KeyUse::image));
  REQUIRE(sphere::write_file(store->directory() / "0.pem", "x", {.mode = 0600}));

  const auto listing = store->list();

  REQUIRE(listing.keys.size() == 2);
  CHECK(listing.keys.at(0).name == "a");
  CHECK(listing.keys.at(1).use == KeyUse::device_api_ca);
  REQUIRE(listing.unreadable.size() == 1);
  CHECK(listing.unreadable.at(0).message().find("0.pem") != std::string::npos);
}

TEST_CASE_METHOD(Fixture, "a stored key that others may read is refused", "[crypto]") {
  const auto info = store->create("a", KeyUse::image);
  REQUIRE(info);
  REQUIRE(::chmod(info->location.c_str(), 0644) == 0);
  CHECK(store->load("a").error().code() == Errc::permission);
}

TEST_CASE_METHOD(Fixture, "import takes over a key, with its certificate if it is there",
                 "[crypto]") {
  const auto source = directory->path() / "mine.pem";
  const auto key = sphere::crypto::PrivateKey::generate();
  REQUIRE(key);
  const auto certificate = sphere::crypto::make_certificate(
      {.common_name = "mine", .not_before = 10, .not_after = 20}, key->public_key(), *key);
  REQUIRE(certificate);
  REQUIRE(sphere::write_file(source, std::string{key->to_pem().text()}, {.mode = 0600}));

  const auto plain = store->import("plain", KeyUse::image, source);
  REQUIRE(plain);
  CHECK(plain->id == key->public_key().id());

  REQUIRE(sphere::write_file(source, std::string{key->to_pem().text()} + certificate->pem(),
                             {.mode = 0600}));
  const auto certified = store->import("certified", KeyUse::image, source);
  REQUIRE(certified);
  CHECK(certified->thumbprint == certificate->thumbprint());
  CHECK(store->load("certified")->certificate.subject() == "CN=mine");
  CHECK(store->import("plain", KeyUse::image, source).error().code() == Errc::exists);
}

TEST_CASE_METHOD(Fixture, "a key file without its use or with a foreign certificate is corrupt",
                 "[crypto]") {
  const auto info = store->create("a", KeyUse::image);
  REQUIRE(info);
  REQUIRE(store->create("b", KeyUse::image));
  const auto text = sphere::read_text_file(info->location, 65536);
  REQUIRE(text);
  const auto other = store->load("b")->certificate.pem();
  const auto certificate_at = text->find("-----BEGIN CERTIFICATE");

  REQUIRE(sphere::write_file(info->location, text->substr(text->find('\n') + 1), {.mode = 0600}));
  CHECK(store->load("a").error().code() == Errc::corrupt);
  REQUIRE(
      sphere::write_file(info->location, text->substr(0, certificate_at) + other, {.mode = 0600}));
  CHECK(store->load("a").error().code() == Errc::corrupt);
  REQUIRE(sphere::write_file(info->location, text->substr(0, certificate_at), {.mode = 0600}));
  CHECK(store->load("a").error().code() == Errc::corrupt);
}

TEST_CASE("uses of a key are read as they are written", "[crypto]") {
  CHECK(*sphere::crypto::parse_key_use("image") == KeyUse::image);
  CHECK(*sphere::crypto::parse_key_use(sphere::crypto::to_text(KeyUse::device_api_ca)) ==
        KeyUse::device_api_ca);
  CHECK(sphere::crypto::parse_key_use("tls").error().code() == Errc::invalid_argument);
}
