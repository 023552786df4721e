// SPDX-License-Identifier: MIT
#include "sphere/image/trust_image.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "sphere/core/encoding.h"
#include "sphere/core/guid.h"
#include "sphere/core/result.h"
#include "sphere/crypto/digest.h"
#include "sphere/crypto/key.h"
#include "sphere/crypto/signer.h"
#include "sphere/image/metadata.h"
#include "sphere/image/pack_v2.h"
#include "sphere/image/package.h"
#include "sphere/image/trust.h"
#include "sphere/image/verify_v2.h"
#include "tests/unit/image/golden.h"
#include "tests/unit/image/golden_v2.h"

namespace {

using namespace sphere;  // NOLINT(google-build-using-namespace): test
using image::read_trust_record;
using image::Role;
using image::TrustRecord;
using image::write_trust_record;
using sphere::test::Bytes;
using sphere::test::patched;

constexpr std::size_t kHead = 20;
constexpr std::size_t kFixed = 4 + 91;

// Keys that are the same in each run: x | y = k G for small k would be public, too, so new ones.
crypto::PublicKey new_key() { return crypto::PrivateKey::generate().value().public_key(); }

crypto::Sha1Digest print_of(std::uint8_t first) {
  crypto::Sha1Digest digest = {};
  digest.front() = std::byte{first};
  return digest;
}

crypto::KeyId id_of(std::uint8_t first) {
  crypto::KeyId id = {};
  id.front() = std::byte{first};
  return id;
}

TrustRecord full_record() {
  return {.version = 7,
          .entries = {{.key = new_key(),
                       .thumbprints = {print_of(9), print_of(2)},
                       .role = Role::production,
                       .label = "Release 2027, Größe 2"},
                      {.key = new_key(), .thumbprints = {}, .role = Role::trust_store},
                      {.key = new_key(), .thumbprints = {}, .role = Role::development},
                      {.key = new_key(), .thumbprints = {}, .role = Role::capability},
                      {.key = new_key(), .thumbprints = {}, .role = Role::board_configuration},
                      {.key = new_key(), .thumbprints = {}, .role = Role::os, .label = "os"}},
          .revoked = {id_of(5), id_of(1), id_of(5)}};
}

Bytes written(const TrustRecord& record) {
  auto bytes = write_trust_record(record);
  REQUIRE(bytes);
  return *std::move(bytes);
}

void check_refused(const Bytes& body, Errc code, std::string_view words) {
  const auto result = read_trust_record(body);
  REQUIRE_FALSE(result);
  CHECK(result.error().code() == code);
  CHECK_THAT(result.error().message(), Catch::Contains(std::string{words}));
  CHECK_FALSE(result.error().hint().reason.empty());
}

void check_unwritten(const TrustRecord& record, std::string_view words) {
  const auto result = write_trust_record(record);
  REQUIRE_FALSE(result);
  CHECK(result.error().code() == Errc::invalid_argument);
  CHECK_THAT(result.error().message(), Catch::Contains(std::string{words}));
}

Bytes replaced(const Bytes& body, std::size_t offset, std::uint8_t value) {
  auto bytes = body;
  bytes.at(offset) = std::byte{value};
  return bytes;
}

// A signer with a key of its own.
struct Owner {
  crypto::PrivateKey key = crypto::PrivateKey::generate().value();
  crypto::PublicKey half = key.public_key();

  [[nodiscard]] crypto::KeySigner signer() const {
    return crypto::KeySigner{crypto::PrivateKey::from_pem(key.to_pem().text()).value(), {}};
  }
  [[nodiscard]] image::TrustStore trust(Role role) const {
    image::TrustStore trust;
    trust.add({.key = half, .thumbprints = {}, .role = role});
    return trust;
  }
};

Bytes package_of(const image::TrustImage& image, const Owner& owner) {
  sphere::test::TestTools tools;
  auto bytes = sphere::test::pack_to_memory([&](const image::PackOutput& output) {
    return image::pack_trust_image(image, owner.signer(), tools.get(), output);
  });
  REQUIRE(bytes);
  return *std::move(bytes);
}

Result<TrustRecord> verified_record(const Bytes& bytes, const image::TrustStore& trust) {
  sphere::test::TestTools tools;
  SPHERE_TRY_ASSIGN(auto package, image::parse_package(bytes));
  SPHERE_TRY_ASSIGN(const auto verified, image::verify(std::move(package), trust));
  SPHERE_TRY(image::check_body_v2(*verified, tools.get()));
  return image::open_trust_record(*verified);
}

}  // namespace

TEST_CASE("a trust store is read as it was written, in one order", "[image]") {
  const auto record = full_record();
  const auto bytes = written(record);
  CHECK(bytes.size() <= image::kMaxTrustRecord);

  const auto read = read_trust_record(bytes);
  REQUIRE(read);
  CHECK(read->version == 7);
  REQUIRE(read->entries.size() == 6);
  CHECK(read->entries.front().role == Role::production);
  CHECK(read->entries.front().label == "Release 2027, Größe 2");
  CHECK(read->entries.front().key == record.entries.front().key);
  CHECK(read->entries.front().thumbprints == std::vector{print_of(2), print_of(9)});
  CHECK(read->entries.back().role == Role::trust_store);
  CHECK(read->revoked == std::vector{id_of(1), id_of(5)});
  CHECK(written(*read) == bytes);

  auto shuffled = record;
  std::ranges::reverse(shuffled.entries);
  std::ranges::reverse(shuffled.revoked);
  CHECK(written(shuffled) == bytes);
}

TEST_CASE("a trust store of the largest size is read, and no larger one", "[image]") {
  TrustRecord record;
  for (std::size_t i = 0; i < image::kMaxTrustKeys; ++i) {
    record.entries.push_back({.key = new_key(),
                              .thumbprints = {print_of(1), print_of(2), print_of(3), print_of(4)},
                              .role = Role::trust_store,
                              .label = std::string(image::kMaxTrustLabel, 'x')});
  }
  for (std::size_t i = 0; i < image::kMaxRevokedKeys; ++i) {
    record.revoked.push_back(id_of(static_cast<std::uint8_t>(i)));
  }
  const auto bytes = written(record);
  CHECK(bytes.size() == image::kMaxTrustRecord);
  CHECK(read_trust_record(bytes));

  auto longer = bytes;
  longer.push_back({});
  check_refused(longer, Errc::too_large, "at most");

  auto more = record;
  more.revoked.push_back(crypto::sha256(bytes));
  check_unwritten(more, "at most 256");
  more = record;
  more.entries.push_back({.key = new_key(), .thumbprints = {}, .role = Role::os});
  check_unwritten(more, "1 to 64");
  more = record;
  more.entries.front().thumbprints.push_back(print_of(5));
  check_unwritten(more, "at most 4");
  more = record;
  more.entries.front().label += "x";
  check_unwritten(more, "at most 63 bytes");
}

TEST_CASE("every cut and every added byte is refused", "[image]") {
  const auto bytes = written(full_record());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    INFO(size);
    CHECK_FALSE(read_trust_record(std::span{bytes}.first(size)));
  }
  auto longer = bytes;
  longer.push_back({});
  CHECK_FALSE(read_trust_record(longer));
  // With the length set right the parts are what is cut.
  for (std::size_t size = kHead; size < bytes.size(); ++size) {
    INFO(size);
    auto cut = Bytes{bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)};
    cut = replaced(cut, 16, static_cast<std::uint8_t>(size & 0xFF));
    cut = replaced(cut, 17, static_cast<std::uint8_t>(size >> 8));
    CHECK_FALSE(read_trust_record(cut));
  }
}

TEST_CASE("a flipped bit is refused or read as what it says, never as something else", "[image]") {
  const auto bytes = written(full_record());
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    auto flipped = bytes;
    flipped[bit / 8] ^= std::byte{1} << (bit % 8);
    if (const auto read = read_trust_record(flipped)) {
      INFO(bit);
      CHECK(written(*read) == flipped);
    }
  }
}

TEST_CASE("each field of the record is checked", "[image]") {
  const auto bytes = written(full_record());
  check_refused(replaced(bytes, 0, 'X'), Errc::corrupt, "magic");
  check_refused(replaced(bytes, 4, 2), Errc::unsupported, "layout version 2");
  check_refused(replaced(bytes, 6, 1), Errc::corrupt, "offset 6");
  check_refused(replaced(bytes, 8, 0), Errc::corrupt, "version 0");
  check_refused(replaced(bytes, 12, 0), Errc::corrupt, "0 keys");
  check_refused(replaced(bytes, 12, 65), Errc::corrupt, "65 keys");
  check_refused(replaced(bytes, 15, 2), Errc::corrupt, "revoked keys, not 0 to 256");
  check_refused(replaced(bytes, 16, 1), Errc::corrupt, "its size is");
  check_refused(replaced(bytes, kHead, 0), Errc::corrupt, "no role has the number 0");
  check_refused(replaced(bytes, kHead, 7), Errc::corrupt, "no role has the number 7");
  check_refused(replaced(bytes, kHead + 1, 5), Errc::corrupt, "5 thumbprints");
  check_refused(replaced(bytes, kHead + 2, 64), Errc::corrupt, "64 bytes");
  check_refused(replaced(bytes, kHead + 3, 1), Errc::corrupt, "offset 23");
  check_refused(replaced(bytes, kHead + 4, 0x31), Errc::corrupt, "no public key");
  check_refused(replaced(bytes, kHead + kFixed, 9), Errc::corrupt, "not ascending");
  check_refused(replaced(bytes, kHead + kFixed + 40, '\n'), Errc::corrupt, "label");
  check_refused(replaced(bytes, bytes.size() - 32, 1), Errc::corrupt, "not in ascending order");
}

TEST_CASE("rules over the whole store hold for reader and writer", "[image]") {
  SECTION("without a trust-store key nothing could ever replace it") {
    auto record = full_record();
    auto bytes = written(record);
    // The last key's role becomes os; its place stays right if its id is not below the os key's.
    std::erase_if(record.entries,
                  [](const auto& entry) { return entry.role == Role::trust_store; });
    check_unwritten(record, "no trust-store key");
    const TrustRecord lone{
        .entries = {{.key = new_key(), .thumbprints = {}, .role = Role::trust_store}}};
    check_refused(replaced(written(lone), kHead, 5), Errc::corrupt, "no trust-store key");
  }
  SECTION("a key in it is not revoked by it") {
    auto record = full_record();
    record.revoked.push_back(record.entries.front().key.id());
    check_unwritten(record, "that it revokes");
    auto bytes = written(full_record());
    auto other = read_trust_record(bytes).value();
    const auto id = other.entries.front().key.id();
    const TrustRecord one{.entries = {{.key = other.entries.front().key,
                                       .thumbprints = {},
                                       .role = Role::trust_store}},
                          .revoked = {id_of(1)}};
    check_refused(patched(written(one), kHead + kFixed, std::span{id}), Errc::corrupt,
                  "that it revokes");
  }
  SECTION("a trust-store key has no other role, others may have two") {
    auto record = full_record();
    record.entries.push_back(record.entries.front());
    check_unwritten(record, "twice");
    record.entries.back().role = Role::development;
    CHECK(read_trust_record(written(record)));
    record.entries.back().role = Role::trust_store;
    check_unwritten(record, "has another role");
  }
  SECTION("the key of the test vectors has no place in any role") {
    for (const auto role : {Role::production, Role::development, Role::capability,
                            Role::board_configuration, Role::os, Role::trust_store}) {
      auto record = full_record();
      record.entries.push_back(
          {.key = sphere::test::GoldenSigner{}.public_key(), .thumbprints = {}, .role = role});
      check_unwritten(record, "published test vectors");
    }
    const TrustRecord lone{
        .entries = {{.key = new_key(), .thumbprints = {}, .role = Role::trust_store}}};
    check_refused(patched(written(lone), kHead + 4,
                          std::span{sphere::test::GoldenSigner{}.public_key().spki()}),
                  Errc::corrupt, "published test vectors");
  }
  SECTION("the public test key is a development key or none") {
    auto record = full_record();
    record.entries.push_back(
        {.key = image::public_test_key(), .thumbprints = {}, .role = Role::development});
    CHECK(read_trust_record(written(record)));
    for (const auto role : {Role::production, Role::capability, Role::os, Role::trust_store}) {
      record.entries.back().role = role;
      check_unwritten(record, "public test key");
    }
  }
}

TEST_CASE("a packed trust store verifies by a trust-store key alone", "[image]") {
  const Owner owner;
  const image::TrustImage image{
      .record = full_record(), .build_time = 1'735'689'600, .boards = {"mt3620-rdb"}};
  const auto bytes = package_of(image, owner);

  const auto record = verified_record(bytes, owner.trust(Role::trust_store));
  REQUIRE(record);
  CHECK(written(*record) == written(image.record));
  const auto package = image::parse_package(bytes).value();
  CHECK(package.metadata.v2.security->image == 7);
  CHECK_FALSE(package.metadata.temporary);

  for (const auto role : {Role::production, Role::development, Role::capability,
                          Role::board_configuration, Role::os}) {
    const auto refused = verified_record(bytes, owner.trust(role));
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code() == Errc::unverified);
    CHECK_THAT(refused.error().message(), Catch::Contains("for another use"));
  }
  const auto unknown = verified_record(bytes, Owner{}.trust(Role::trust_store));
  REQUIRE_FALSE(unknown);
  CHECK_THAT(unknown.error().message(), Catch::Contains("no trusted key"));
}

TEST_CASE("the same store twice gives the same bytes but the signature", "[image]") {
  const Owner owner;
  const image::TrustImage image{.record = full_record(), .build_time = 1'735'689'600};
  auto first = package_of(image, owner);
  auto second = package_of(image, owner);
  first.resize(first.size() - 64);
  second.resize(second.size() - 64);
  CHECK(first == second);
}

TEST_CASE("a package that says otherwise than its trust store is refused", "[image]") {
  const Owner owner;
  sphere::test::TestTools tools;
  const auto body = written(full_record());
  const image::MemoryBlocks source{body};
  const auto pack = [&](const std::function<void(image::RawImage&)>& change) {
    image::RawImage raw{.source = &source,
                        .size = body.size(),
                        .info = {.image_type = image::kTrustedKeyStore,
                                 .component_id = image::trust_store_component(),
                                 .build_time = 1'735'689'600,
                                 .name = "trust-store",
                                 .temporary = std::nullopt,
                                 .security = image::SecurityVersion{.image = 7}}};
    change(raw);
    auto bytes = sphere::test::pack_to_memory([&](const image::PackOutput& output) {
      return image::pack_raw_image(raw, owner.signer(), tools.get(), output);
    });
    REQUIRE(bytes);
    const auto record = verified_record(*bytes, owner.trust(Role::trust_store));
    return record ? std::string{} : record.error().message();
  };
  CHECK(pack([](auto&) {}).empty());
  CHECK_THAT(pack([](auto& raw) { raw.info.security->image = 8; }),
             Catch::Contains("not the security version 8"));
  CHECK_THAT(pack([](auto& raw) { raw.info.security.reset(); }),
             Catch::Contains("not the security version 0"));
  CHECK_THAT(pack([](auto& raw) { raw.info.component_id = Guid::random(); }),
             Catch::Contains("component"));
  CHECK_THAT(pack([](auto& raw) { raw.info.temporary = image::kRemoveAtBoot; }),
             Catch::Contains("temporary"));
  CHECK_THAT(pack([](auto& raw) { raw.size -= 1; }), Catch::Contains("its size"));
}
