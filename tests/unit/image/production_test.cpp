// SPDX-License-Identifier: MIT
#include "sphere/image/production.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "sphere/core/encoding.h"
#include "sphere/core/result.h"
#include "sphere/core/writer.h"
#include "sphere/crypto/digest.h"
#include "sphere/crypto/signer.h"
#include "sphere/image/compression.h"
#include "sphere/image/metadata.h"
#include "sphere/image/package.h"
#include "sphere/image/trust.h"
#include "tests/unit/image/golden.h"

namespace image = sphere::image;
using sphere::Errc;
using sphere::image::open_inner;
using sphere::image::parse_package;
using sphere::test::Bytes;
using sphere::test::GoldenSigner;
using sphere::test::patched;

namespace {

constexpr std::uint64_t kSigningTime = 1'735'690'000;
constexpr std::uint32_t kLzma = 1;

image::Verified<image::Package> verified(std::span<const std::byte> bytes) {
  auto package = parse_package(bytes);
  REQUIRE(package);
  auto result = image::verify(*std::move(package), sphere::test::golden_trust());
  REQUIRE(result);
  return *std::move(result);
}

Bytes production_package(std::span<const std::byte> upload) {
  auto bytes = image::sign_for_production(verified(upload), kSigningTime, GoldenSigner{});
  REQUIRE(bytes);
  return *std::move(bytes);
}

Bytes signed_by(const sphere::crypto::Signer& signer, Bytes bytes) {
  const std::array<sphere::crypto::Sha256Digest, 1> digests = {sphere::crypto::sha256(bytes)};
  const auto signatures = signer.sign(digests);
  REQUIRE(signatures);
  bytes.insert(bytes.end(), signatures->at(0).begin(), signatures->at(0).end());
  return bytes;
}

image::Section section_of(std::string_view id, std::span<const std::byte> payload) {
  return {.id = {id[0], id[1]}, .payload = payload};
}

// `body` with the sections of `package`, those of `changes` in place of or after its own, signed.
Bytes rebuilt(std::span<const std::byte> body, const image::Metadata& metadata,
              const std::vector<image::Section>& changes, std::string_view dropped = "") {
  auto sections = metadata.sections;
  std::erase_if(sections, [&](const auto& section) {
    return std::string_view{section.id.data(), 2} == dropped;
  });
  for (const auto& change : changes) {
    const auto found = std::ranges::find(sections, change.id, &image::Section::id);
    if (found == sections.end()) {
      sections.push_back(change);
    } else {
      *found = change;
    }
  }
  Bytes bytes{body.begin(), body.end()};
  const auto block = image::write_sections(sections);
  bytes.insert(bytes.end(), block.begin(), block.end());
  return signed_by(GoldenSigner{}, std::move(bytes));
}

// A production package around `inner` whose outer block fits it, with `changes`.
Bytes wrapped(std::span<const std::byte> inner, const std::vector<image::Section>& changes = {},
              std::optional<Bytes> area = std::nullopt) {
  const auto good = production_package(sphere::test::golden_package());
  const auto metadata = image::read_metadata(good);
  REQUIRE(metadata);
  sphere::Writer compression;
  compression.little_endian(static_cast<std::uint32_t>(inner.size())).little_endian(kLzma);
  std::vector<image::Section> all = {section_of("CM", compression.data())};
  all.insert(all.end(), changes.begin(), changes.end());
  return rebuilt(area ? *area : image::encode_lzma(inner), *metadata, all);
}

// The inner bytes of a good production package, and their metadata.
struct Inner {
  Bytes bytes;
  image::Metadata metadata;
};
std::unique_ptr<Inner> good_inner() {
  const auto bytes = production_package(sphere::test::golden_package());
  const auto outer = parse_package(bytes);
  REQUIRE(outer);
  const auto inner = open_inner(*outer);
  REQUIRE(inner);
  const auto memory = inner->package.source->in_memory();
  auto result = std::make_unique<Inner>();
  result->bytes.assign(memory.begin(), memory.end());
  const auto metadata = image::read_metadata(result->bytes);
  REQUIRE(metadata);
  result->metadata = *metadata;
  return result;
}

sphere::Error open_error(const Bytes& bytes) {
  const auto outer = parse_package(bytes);
  REQUIRE(outer);
  REQUIRE(outer->kind == image::PackageKind::production);
  const auto inner = open_inner(*outer);
  REQUIRE_FALSE(inner);
  // verify() gets as far, since the outer signature is good.
  const auto result = image::verify(*outer, sphere::test::golden_trust());
  REQUIRE_FALSE(result);
  CHECK(result.error().code() == inner.error().code());
  return inner.error();
}
void check_corrupt(const Bytes& bytes) { CHECK(open_error(bytes).code() == Errc::corrupt); }

Errc verify_code(std::span<const std::byte> bytes) {
  const auto package = parse_package(bytes);
  REQUIRE(package);
  const auto result = image::verify(*package, sphere::test::golden_trust());
  REQUIRE_FALSE(result);
  return result.error().code();
}

}  // namespace

TEST_CASE("a production package holds the signed application without TP", "[image]") {
  const auto upload = sphere::test::golden_package();
  const auto bytes = production_package(upload);

  const auto outer = parse_package(bytes);

  REQUIRE(outer);
  CHECK(outer->kind == image::PackageKind::production);
  const auto& metadata = outer->metadata;
  CHECK(outer->tail->size() == 152 + 64);
  CHECK(metadata.sections.size() == 5);
  CHECK(metadata.body_size % 4 == 0);
  CHECK(metadata.uncompressed_size == 24'576 + 140 + 64);
  CHECK(metadata.debug.build_time == kSigningTime);
  CHECK(metadata.debug.name == "golden");
  CHECK_FALSE(metadata.temporary);
  CHECK(sphere::to_hex(std::span{bytes}.first(13)) == "5a00100000ffffffffffffffff");
  const auto inner = open_inner(*outer);
  REQUIRE(inner);
  const auto& package = inner->package;
  CHECK(package.size == metadata.uncompressed_size);
  CHECK(package.kind == image::PackageKind::application);
  CHECK(package.tail->size() == 140 + 64);
  CHECK(package.metadata.debug.build_time == sphere::test::kGoldenTime);
  CHECK_FALSE(package.metadata.temporary);
  CHECK(package.metadata.identity.image_id == metadata.identity.image_id);
  CHECK(package.files.files.size() == 5);
  const auto body = package.source->in_memory().first(24'576);
  CHECK(sphere::to_hex(sphere::crypto::sha256(body)) == sphere::test::kGoldenBodySha256);
}

TEST_CASE("verifying a production package gives the package inside", "[image]") {
  const auto bytes = production_package(sphere::test::golden_package());
  const auto outer = parse_package(bytes);
  REQUIRE(outer);
  CHECK(outer->inner == nullptr);

  const auto result = image::verify(*outer, sphere::test::golden_trust());

  REQUIRE(result);
  CHECK(result->signer().label == "golden");
  REQUIRE((*result)->inner != nullptr);
  const auto& inner = *(*result)->inner;
  REQUIRE(inner.files.find("app_manifest.json") != nullptr);
  CHECK(inner.metadata.debug.name == "golden");
}

TEST_CASE("unknown sections stay in the inner package", "[image]") {
  const auto plain = sphere::test::golden_package();
  const auto metadata = image::read_metadata(plain);
  REQUIRE(metadata);
  const auto payload = sphere::test::to_bytes("kept as it is");
  const auto upload =
      rebuilt(std::span{plain}.first(metadata->body_size), *metadata, {section_of("Zz", payload)});

  const auto bytes = production_package(upload);

  const auto outer = parse_package(bytes);
  REQUIRE(outer);
  CHECK(outer->metadata.sections.size() == 5);
  const auto inner = open_inner(*outer);
  REQUIRE(inner);
  const auto& sections = inner->package.metadata.sections;
  REQUIRE(sections.size() == 5);
  CHECK(std::ranges::equal(sections.back().payload, payload));
  CHECK(image::verify(*outer, sphere::test::golden_trust()));
}

TEST_CASE("only applications become production packages", "[image]") {
  const auto bytes = production_package(sphere::test::golden_package());

  const auto again = image::sign_for_production(verified(bytes), kSigningTime, GoldenSigner{});

  REQUIRE_FALSE(again);
  CHECK(again.error().code() == Errc::unsupported);
  const auto application = parse_package(sphere::test::golden_package());
  REQUIRE(application);
  const auto inner = open_inner(*application);
  REQUIRE_FALSE(inner);
  CHECK(inner.error().code() == Errc::invalid_argument);
}

TEST_CASE("both signatures of a production package count", "[image]") {
  const auto inner = good_inner();
  auto key = sphere::crypto::PrivateKey::generate();
  REQUIRE(key);
  const sphere::crypto::KeySigner other{*std::move(key), std::nullopt};
  auto trust = sphere::test::golden_trust();
  trust.add({.key = other.public_key(), .thumbprints = {other.thumbprint()}, .label = "other"});
  Bytes unsigned_inner{inner->bytes.begin(), inner->bytes.end() - 64};

  SECTION("an unknown key") {
    const auto bytes = production_package(sphere::test::golden_package());
    const auto outer = parse_package(bytes);
    REQUIRE(outer);
    const auto result = image::verify(*outer, {});
    REQUIRE_FALSE(result);
    CHECK(result.error().code() == Errc::unverified);
  }
  SECTION("a bad outer signature is found before anything is decoded") {
    auto bytes = wrapped(inner->bytes, {}, sphere::test::to_bytes("no data."));
    bytes[bytes.size() - 64] ^= std::byte{1};
    CHECK(verify_code(bytes) == Errc::unverified);
  }
  SECTION("a bad inner signature") {
    auto damaged = inner->bytes;
    damaged.back() ^= std::byte{1};
    CHECK(verify_code(wrapped(damaged)) == Errc::unverified);
  }
  SECTION("an inner signature by a key that is not trusted") {
    CHECK(verify_code(wrapped(signed_by(other, unsigned_inner))) == Errc::unverified);
  }
  SECTION("an inner signature by another trusted key") {
    const auto bytes = wrapped(signed_by(other, unsigned_inner));
    const auto outer = parse_package(bytes);
    REQUIRE(outer);
    const auto result = image::verify(*outer, trust);
    REQUIRE_FALSE(result);
    CHECK(result.error().code() == Errc::unverified);
    CHECK(result.error().hint().reason == "package.untrusted");
  }
  SECTION("the same package, put together like the bad ones") {
    const auto bytes = wrapped(inner->bytes);
    const auto outer = parse_package(bytes);
    REQUIRE(outer);
    CHECK(image::verify(*outer, trust));
  }
}

TEST_CASE("inner and outer package agree, and there is no nesting", "[image]") {
  const auto inner = good_inner();
  const auto body = std::span{inner->bytes}.first(inner->metadata.body_size);
  const auto& metadata = inner->metadata;

  SECTION("a section TP inside") {
    check_corrupt(wrapped(
        rebuilt(body, metadata,
                {section_of("TP", sphere::test::to_bytes(std::string_view{"\2\0\0\0", 4}))})));
  }
  SECTION("a production package inside") {
    check_corrupt(wrapped(production_package(sphere::test::golden_package())));
  }
  SECTION("signing type of package v2 inside") {
    const auto found =
        std::ranges::find(metadata.sections, std::array<char, 2>{'S', 'G'}, &image::Section::id);
    Bytes payload{found->payload.begin(), found->payload.end()};
    payload = patched(payload, 20, std::string_view{"\2\0\0\x80", 4});
    CHECK_FALSE(open_error(wrapped(rebuilt(body, metadata, {section_of("SG", payload)})))
                    .hint()
                    .reason.empty());
  }
  SECTION("another image id, component id or type") {
    for (const std::size_t at : {35U, 4U}) {
      const auto& id = metadata.sections.at(0).payload;
      auto payload = Bytes{id.begin(), id.end()};
      payload[at] ^= std::byte{1};
      check_corrupt(wrapped(inner->bytes, {section_of("ID", payload)}));
    }
    // verify() stops before: a key for applications does not sign a board configuration.
    const auto& id = metadata.sections.at(0).payload;
    const auto bytes =
        wrapped(inner->bytes, {section_of("ID", patched({id.begin(), id.end()}, 0, "\x15"))});
    const auto outer = parse_package(bytes);
    REQUIRE(outer);
    const auto result = open_inner(*outer);
    REQUIRE_FALSE(result);
    CHECK(result.error().code() == Errc::corrupt);
  }
  SECTION("another name") {
    const auto& debug = metadata.sections.at(2).payload;
    check_corrupt(
        wrapped(inner->bytes, {section_of("DB", patched({debug.begin(), debug.end()}, 8, "h"))}));
  }
  SECTION("another API set, and none") {
    check_corrupt(
        wrapped(inner->bytes, {section_of("ND", sphere::test::to_bytes(std::string_view{
                                                    "\1\0\0\0\x0D\0\0\0\3\0\0\0", 12}))}));
    check_corrupt(wrapped(
        inner->bytes, {section_of("ND", sphere::test::to_bytes(std::string_view{"\0\0\0\0", 4}))}));
    check_corrupt(wrapped(rebuilt(body, metadata, {}, "ND")));
  }
  SECTION("a damaged file system inside") {
    auto damaged = Bytes{body.begin(), body.end()};
    damaged.back() ^= std::byte{1};
    check_corrupt(wrapped(rebuilt(damaged, metadata, {})));
  }
}

TEST_CASE("the compressed area decodes to exactly the size of section CM", "[image]") {
  const auto inner = good_inner();
  const auto area = image::encode_lzma(inner->bytes);
  const auto with_size = [&](std::size_t size) {
    sphere::Writer payload;
    payload.little_endian(static_cast<std::uint32_t>(size)).little_endian(kLzma);
    return wrapped(inner->bytes, {section_of("CM", payload.data())});
  };

  SECTION("CM too small or too large by one, and no size at all") {
    check_corrupt(with_size(inner->bytes.size() - 1));
    check_corrupt(with_size(inner->bytes.size() + 1));
    check_corrupt(with_size(0));
  }
  SECTION("CM above the limit") {
    CHECK(open_error(with_size((std::size_t{256} << 20U) + 1)).code() == Errc::too_large);
  }
  SECTION("endless data") {
    check_corrupt(wrapped(inner->bytes, {}, image::encode_lzma(Bytes(4'000'000))));
  }
  SECTION("data that ends early") {
    check_corrupt(wrapped(inner->bytes, {}, Bytes{area.begin(), area.end() - 8}));
  }
  SECTION("padding that is not zero, or too long") {
    auto longer = area;
    longer.resize(longer.size() + 4);
    check_corrupt(wrapped(inner->bytes, {}, longer));
    longer.back() = std::byte{1};
    check_corrupt(wrapped(inner->bytes, {}, longer));
  }
  SECTION("a dictionary of 64 MiB") {
    CHECK(open_error(wrapped(inner->bytes, {}, patched(area, 1, std::string_view{"\0\0\0\x04", 4})))
              .code() == Errc::too_large);
  }
}

TEST_CASE("no flipped bit of a production package verifies", "[image]") {
  const auto bytes = production_package(sphere::test::golden_package());
  const auto trust = sphere::test::golden_trust();

  for (std::size_t at = 0; at < bytes.size(); ++at) {
    auto flipped = bytes;
    flipped[at] ^= std::byte{1} << (at % 8);
    const auto package = parse_package(flipped);
    if (package) {
      INFO(at);
      CHECK_FALSE(image::verify(*package, trust));
    }
  }
}
