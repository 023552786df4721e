// SPDX-License-Identifier: MIT
#include "sphere/image/verify_v2.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "sphere/core/encoding.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/crypto/key.h"
#include "sphere/crypto/signer.h"
#include "sphere/image/asxipfs.h"
#include "sphere/image/block_io.h"
#include "sphere/image/executable_check.h"
#include "sphere/image/metadata.h"
#include "sphere/image/package.h"
#include "sphere/image/package_v2.h"
#include "sphere/image/sign_v2.h"
#include "sphere/image/trust.h"
#include "tests/unit/image/golden_v2.h"

using sphere::Errc;
using sphere::Result;
using sphere::test::Bytes;
using sphere::test::TestTools;

namespace image = sphere::image;
namespace crypto = sphere::crypto;

namespace {

constexpr std::size_t kBody = 24'576;
constexpr std::size_t kMetadata = 32'768;

image::TrustStore trust_with(image::Role role) {
  const sphere::test::GoldenSigner signer;
  auto trust = image::TrustStore::for_test_vectors();
  trust.add({.key = signer.public_key(), .thumbprints = {}, .role = role, .label = "golden"});
  return trust;
}

// Everything that can be checked: what a device that reads the whole image does.
Result<void> check_all(const Bytes& bytes, TestTools& tools) {
  SPHERE_TRY_ASSIGN(auto package, image::parse_package(bytes));
  SPHERE_TRY_ASSIGN(const auto verified,
                    image::verify(std::move(package), sphere::test::golden_trust()));
  return image::check_body_v2(*verified, tools.get());
}

bool is_refusal(Errc code) {
  return code == Errc::corrupt || code == Errc::unverified || code == Errc::unsupported ||
         code == Errc::too_large;
}

// The package with changed sections, signed by the golden key: what only its owner could make.
using Sections = std::vector<std::pair<std::string, Bytes>>;
Bytes signed_with(const Bytes& package, const std::function<void(Sections&)>& change) {
  const auto metadata = image::read_metadata(package);
  REQUIRE(metadata);
  Sections sections;
  for (const auto& section : metadata->sections) {
    sections.emplace_back(std::string{section.id.data(), 2},
                          Bytes{section.payload.begin(), section.payload.end()});
  }
  change(sections);
  std::vector<image::Section> views;
  for (const auto& [id, payload] : sections) {
    views.push_back({.id = {id[0], id[1]}, .payload = payload});
  }
  auto block = image::write_sections(views);
  Bytes result{package.begin(), package.begin() + static_cast<std::ptrdiff_t>(metadata->body_size)};
  const std::array<crypto::Sha256Digest, 1> digests = {image::signed_digest_v2(
      std::span{package}.subspan(kBody).first<image::kVeritySuperblockSize>(), block)};
  const auto signature = image::with_low_s(sphere::test::GoldenSigner{}.sign(digests)->at(0));
  result.insert(result.end(), block.begin(), block.end());
  result.insert(result.end(), signature.begin(), signature.end());
  return result;
}

Bytes& section(Sections& sections, std::string_view id) {
  const auto found = std::ranges::find(
      sections, id, [](const auto& entry) { return std::string_view{entry.first}; });
  REQUIRE(found != sections.end());
  return found->second;
}

Bytes random_image(std::size_t size) {
  std::mt19937 random{1};
  Bytes bytes(size);
  std::ranges::generate(bytes, [&] { return static_cast<std::byte>(random()); });
  return bytes;
}

// A package of a raw image of 3 MB, of which a third compresses well.
Bytes image_package(bool compress) {
  auto bytes = random_image(3'000'000);
  std::ranges::fill(std::span{bytes}.first(1'000'000), std::byte{7});
  const image::MemoryBlocks source{bytes};
  auto info = sphere::test::golden_info();
  info.compress = compress;
  TestTools tools;
  auto package =
      sphere::test::pack_v2({.source = &source, .size = bytes.size(), .info = info}, tools.get());
  REQUIRE(package);
  return *std::move(package);
}

}  // namespace

TEST_CASE("the golden package v2 verifies and gives its files", "[image]") {
  const auto bytes = sphere::test::golden_package_v2();
  auto package = image::parse_package(bytes);
  REQUIRE(package);
  CHECK(package->kind == image::PackageKind::package_v2);

  const auto verified = image::verify(*package, sphere::test::golden_trust());

  REQUIRE(verified);
  CHECK(verified->signer().label == "golden");
  CHECK((*verified)->files.files.size() == 5);
  const auto* file = (*verified)->files.find("/bin/app");
  REQUIRE(file != nullptr);
  const auto content = image::read_file_content((*verified)->files, *file);
  REQUIRE(content);
  CHECK(std::ranges::equal(content->bytes(), sphere::test::pattern(5000, 3)));
  TestTools tools;
  CHECK(image::check_body_v2(**verified, tools.get()));
}

TEST_CASE("the stored golden signature verifies", "[image]") {
  auto bytes = sphere::test::golden_package_v2();
  const auto signature = sphere::from_hex(sphere::test::kGoldenSignatureV2);
  bytes = sphere::test::patched(std::move(bytes), bytes.size() - 64, std::span{*signature});
  TestTools tools;
  CHECK(check_all(bytes, tools));
}

TEST_CASE("no flipped bit of a package v2 passes", "[image]") {
  const auto bytes = sphere::test::golden_package_v2();
  TestTools tools{1};
  std::size_t accepted = 0;
  std::size_t wrong_code = 0;
  const auto flip = [&](std::size_t bit) {
    auto damaged = bytes;
    damaged[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    const auto result = check_all(damaged, tools);
    accepted += result ? 1 : 0;
    wrong_code += !result && !is_refusal(result.error().code()) ? 1 : 0;
  };

  for (std::size_t bit = kMetadata * 8; bit < bytes.size() * 8; ++bit) {
    flip(bit);
  }
  for (std::size_t bit = kBody * 8; bit < (kBody + 512) * 8; bit += 3) {
    flip(bit);  // Superblock.
  }
  for (std::size_t at = kBody + 512; at < kMetadata; at += 31) {
    flip((at * 8) + (at % 8));  // Rest of its block, tree.
  }
  for (std::size_t at = 0; at < kBody; at += 127) {
    flip((at * 8) + (at % 8));
  }

  CHECK(accepted == 0);
  CHECK(wrong_code == 0);
}

TEST_CASE("a package v2 truncated anywhere is refused", "[image]") {
  const auto bytes = sphere::test::golden_package_v2();
  TestTools tools{1};
  std::size_t accepted = 0;
  for (std::size_t size = 0; size < bytes.size(); size += size < kMetadata ? 61 : 1) {
    accepted += check_all({bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)}, tools)
                    ? 1
                    : 0;
  }
  CHECK(accepted == 0);
}

TEST_CASE("no flipped bit of a compressed package passes", "[image]") {
  const auto bytes = image_package(true);
  TestTools tools;
  REQUIRE(check_all(bytes, tools));
  std::mt19937 random{2};
  std::size_t accepted = 0;
  for (int i = 0; i < 200; ++i) {
    auto damaged = bytes;
    const auto bit = random() % (bytes.size() * 8);
    damaged[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    const auto result = check_all(damaged, tools);
    accepted += result ? 1 : 0;
    CHECK((result || is_refusal(result.error().code())));
  }
  CHECK(accepted == 0);

  SECTION("nor does a byte in the padding behind the chunks") {
    const auto package = image::parse_package(bytes);
    REQUIRE(package);
    auto damaged = bytes;
    damaged[static_cast<std::size_t>(package->layout->body_area) - 1] = std::byte{1};
    const auto result = check_all(damaged, tools);
    REQUIRE_FALSE(result);
    CHECK(result.error().code() == Errc::corrupt);
  }
}

TEST_CASE("both forms of a package verify with one signature", "[image]") {
  const auto compressed = image_package(true);
  const auto plain = image_package(false);
  const auto parsed = image::parse_package(compressed);
  REQUIRE(parsed);
  // The expanded form: the body in place of the chunks, the rest as it is.
  Bytes expanded{
      plain.begin(),
      plain.begin() + static_cast<std::ptrdiff_t>(image::parse_package(plain)->layout->body_area)};
  expanded.insert(expanded.end(),
                  compressed.begin() + static_cast<std::ptrdiff_t>(parsed->layout->body_area),
                  compressed.end());
  TestTools tools;

  CHECK(check_all(compressed, tools));
  CHECK(check_all(expanded, tools));
  CHECK_FALSE(parsed->layout->expanded);
  CHECK(image::parse_package(expanded)->layout->expanded);
  const auto body = image::open_body(*parsed);
  REQUIRE(body);
  Bytes buffer(700'001);
  const auto read = (*body)->read(500'000, buffer);
  REQUIRE(read);
  CHECK(std::ranges::equal(*read, std::span{plain}.subspan(500'000, buffer.size())));
  CHECK_FALSE((*body)->read(3'000'000, buffer));
}

TEST_CASE("a flipped byte is found before a byte of its block is given out", "[image]") {
  auto bytes = image_package(false);
  bytes[1'234'567] ^= std::byte{1};
  auto package = image::parse_package(bytes);
  REQUIRE(package);
  auto verified = image::verify(*std::move(package), sphere::test::golden_trust());
  REQUIRE(verified);  // Signature and tree are good.
  const auto body = image::open_body(**verified);
  REQUIRE(body);
  Bytes buffer(4096);

  CHECK((*body)->read(0, buffer));
  const auto damaged = (*body)->read(1'234'567 / 4096 * 4096, buffer);

  REQUIRE_FALSE(damaged);
  CHECK(damaged.error().code() == Errc::unverified);
  CHECK(damaged.error().message().find("block 301") != std::string::npos);
  TestTools tools;
  CHECK(image::check_body_v2(**verified, tools.get()).error().code() == Errc::unverified);
}

TEST_CASE("only a trusted key with a fitting role makes a package good", "[image]") {
  const auto bytes = sphere::test::golden_package_v2();
  const auto package = image::parse_package(bytes);
  REQUIRE(package);
  const auto verify = [&](const image::TrustStore& trust) {
    return image::verify(*package, trust);
  };

  CHECK(verify(trust_with(image::Role::production)));
  CHECK(verify(trust_with(image::Role::development)));
  for (const auto role : {image::Role::os, image::Role::capability, image::Role::trust_store}) {
    const auto refused = verify(trust_with(role));
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code() == Errc::unverified);
    CHECK(refused.error().message().find("another use") != std::string::npos);
  }
  const auto unknown = verify({});
  REQUIRE_FALSE(unknown);
  CHECK(unknown.error().message() == "no trusted key has signed the package");

  SECTION("a key that is not the one in ki does not count") {
    const auto other = crypto::PrivateKey::generate();
    REQUIRE(other);
    image::TrustStore trust;
    trust.add({.key = other->public_key(), .thumbprints = {}, .role = image::Role::development});
    CHECK_FALSE(verify(trust));
  }
}

TEST_CASE("a signature outside the rules of package v2 is refused", "[image]") {
  const auto bytes = sphere::test::golden_package_v2();
  TestTools tools{1};
  const auto with = [&](std::size_t at, std::string_view hex) {
    const auto value = sphere::from_hex(hex);
    REQUIRE(value);
    return check_all(sphere::test::patched(bytes, bytes.size() - 64 + at, std::span{*value}),
                     tools);
  };
  const auto order = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
  for (const std::size_t at : {0U, 32U}) {
    for (const auto& value : std::vector<std::string>{
             std::string(64, '0'), std::string{order},
             std::string{"ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632552"}}) {
      const auto result = with(at, value);
      REQUIRE_FALSE(result);
      CHECK(result.error().code() == Errc::unverified);
    }
  }

  SECTION("the same signature with a high s") {
    crypto::Signature high = {};
    std::ranges::copy(std::span{bytes}.last<64>(), high.begin());
    // n - s, by the same arithmetic as with_low_s(): take it from the order.
    const auto n = sphere::from_hex(order);
    int borrow = 0;
    for (std::size_t i = 32; i-- > 0;) {
      const int digit =
          std::to_integer<int>((*n)[i]) - std::to_integer<int>(high.at(32 + i)) - borrow;
      borrow = digit < 0 ? 1 : 0;
      high.at(32 + i) = static_cast<std::byte>(digit & 0xFF);
    }
    CHECK_FALSE(image::has_low_s(high));
    const auto result =
        check_all(sphere::test::patched(bytes, bytes.size() - 64, std::span{high}), tools);
    REQUIRE_FALSE(result);
    CHECK(result.error().message().find("high s") != std::string::npos);
  }
}

TEST_CASE("metadata that contradicts itself is corrupt, though well signed", "[image]") {
  const auto bytes = sphere::test::golden_package_v2();
  TestTools tools{1};
  REQUIRE(check_all(signed_with(bytes, [](Sections&) {}), tools));
  struct Case {
    std::string_view what;
    std::function<void(Sections&)> change;
    Errc code = Errc::corrupt;
  };
  const std::vector<Case> cases = {
      {"salt of another component", [](auto& s) { section(s, "mt")[20] ^= std::byte{1}; }},
      {"another component", [](auto& s) { section(s, "ID")[5] ^= std::byte{1}; }},
      {"more data blocks", [](auto& s) { section(s, "mt")[8] = std::byte{7}; }},
      {"a larger hash area", [](auto& s) { section(s, "v2")[33] = std::byte{0x30}; }},
      {"a smaller body",
       [](auto& s) {
         for (const std::size_t at : {9U, 17U, 25U}) {
           section(s, "v2")[at] = std::byte{0x50};
         }
       }},
      {"a stored size without cz", [](auto& s) { section(s, "v2")[25] = std::byte{0x50}; }},
      {"SG that is not ki", [](auto& s) { section(s, "SG")[0] ^= std::byte{1}; }},
      {"an epoch that is not the build time",
       [](auto& s) { section(s, "bp")[6] = std::byte{'2'}; }},
      {"a capability", [](auto& s) { section(s, "ID")[0] = std::byte{13}; }},
      {"no v2", [](auto& s) { std::erase_if(s, [](auto& e) { return e.first == "v2"; }); }},
      {"no mt", [](auto& s) { std::erase_if(s, [](auto& e) { return e.first == "mt"; }); }},
      {"no ki", [](auto& s) { std::erase_if(s, [](auto& e) { return e.first == "ki"; }); }},
      {"CM",
       [](auto& s) { s.emplace_back("CM", Bytes{{}, {}, {}, {}, std::byte{1}, {}, {}, {}}); }},
      {"another image id than the superblock's",
       [](auto& s) { section(s, "ID")[30] ^= std::byte{1}; }},
      {"a wrong root hash", [](auto& s) { section(s, "mt")[50] ^= std::byte{1}; },
       Errc::unverified},
  };
  for (const auto& test : cases) {
    INFO(test.what);
    const auto result = check_all(signed_with(bytes, test.change), tools);
    CHECK_FALSE(result);
    if (!result) {
      CHECK(result.error().code() == test.code);
    }
  }
}

TEST_CASE("unknown sections are kept, and signed for", "[image]") {
  const auto bytes = signed_with(sphere::test::golden_package_v2(), [](Sections& sections) {
    sections.emplace_back("zz", sphere::test::to_bytes("kept"));
  });
  TestTools tools{1};
  CHECK(check_all(bytes, tools));
  const auto at = static_cast<std::size_t>(
      std::ranges::search(bytes, sphere::test::to_bytes("kept")).begin() - bytes.begin());
  CHECK_FALSE(check_all(sphere::test::patched(bytes, at, "lost"), tools));
}

TEST_CASE("signing for production drops TP, adds st and leaves the rest", "[image]") {
  const auto bytes = signed_with(sphere::test::golden_package_v2(), [](Sections& sections) {
    sections.emplace_back("zz", sphere::test::to_bytes("kept"));
  });
  const auto package = image::parse_package(bytes);
  REQUIRE(package);
  auto key = crypto::PrivateKey::generate();
  REQUIRE(key);
  const crypto::KeySigner signer{*std::move(key), std::nullopt};

  const auto tail = image::sign_tail_v2(*package, {.production_time = 1'800'000'000}, signer);

  REQUIRE(tail);
  Bytes result{bytes.begin(), bytes.begin() + kMetadata};
  result.insert(result.end(), tail->begin(), tail->end());
  auto signed_package = image::parse_package(result);
  REQUIRE(signed_package);
  const auto& metadata = signed_package->metadata;
  CHECK_FALSE(metadata.temporary);
  CHECK(metadata.v2.signing_time == 1'800'000'000U);
  CHECK(metadata.v2.key_id == signer.public_key().id());
  CHECK(metadata.identity.image_id == package->metadata.identity.image_id);
  for (const auto& kept : package->metadata.sections) {
    const std::string_view id{kept.id.data(), 2};
    const auto now = std::ranges::find(metadata.sections, kept.id, &image::Section::id);
    if (id == "TP") {
      CHECK(now == metadata.sections.end());
    } else if (id != "SG" && id != "ki") {
      REQUIRE(now != metadata.sections.end());
      CHECK(std::ranges::equal(now->payload, kept.payload));
    }
  }
  image::TrustStore trust;
  trust.add({.key = signer.public_key(), .thumbprints = {}, .role = image::Role::production});
  CHECK(image::verify(*signed_package, trust));

  SECTION("signing for development again drops st") {
    const auto again = image::sign_tail_v2(*signed_package, {}, sphere::test::GoldenSigner{});
    REQUIRE(again);
    result.resize(kMetadata);
    result.insert(result.end(), again->begin(), again->end());
    CHECK_FALSE(image::parse_package(result)->metadata.v2.signing_time);
    TestTools tools{1};
    CHECK(check_all(result, tools));
  }
}

TEST_CASE("an image below the component's security version is refused", "[image]") {
  const auto bytes = sphere::test::golden_package_v2();  // Version 7, any OS.
  const auto v2 = image::read_metadata(bytes);
  REQUIRE(v2);
  CHECK(image::check_rollback(*v2, {.least_image = 7}));
  const auto older = image::check_rollback(*v2, {.least_image = 8});
  REQUIRE_FALSE(older);
  CHECK(older.error().code() == Errc::unverified);
  CHECK(older.error().hint().reason == "package.untrusted");

  const auto v1_bytes = sphere::test::golden_package();
  const auto v1 = image::read_metadata(v1_bytes);
  REQUIRE(v1);
  CHECK(image::check_rollback(*v1, {}));
  CHECK_FALSE(image::check_rollback(*v1, {.least_image = 1}));

  image::Metadata needs_os;
  needs_os.v2.security = image::SecurityVersion{.image = 1, .least_os = 3};
  CHECK(image::check_rollback(needs_os, {.os = 3}));
  CHECK_FALSE(image::check_rollback(needs_os, {.os = 2}));
}

TEST_CASE("an image for other hardware is refused", "[image]") {
  const auto bytes = sphere::test::golden_package_v2();  // ARM, mt3620-rdb.
  const auto metadata = image::read_metadata(bytes);
  REQUIRE(metadata);
  const std::vector<std::string> boards = {"my-board", "mt3620-rdb"};
  const std::vector<std::string> others = {"my-board"};
  const std::array<std::uint16_t, 1> arm = {image::kMachineArm};
  const std::array<std::uint16_t, 1> x86 = {image::kMachineX86_64};
  CHECK(image::check_hardware(*metadata, boards, arm));
  CHECK(image::check_hardware(*metadata, others, arm).error().code() == Errc::unsupported);
  CHECK(image::check_hardware(*metadata, boards, x86).error().code() == Errc::unsupported);
  CHECK(image::check_hardware({}, others, x86));
}

TEST_CASE("a path for package v1 refuses package v2 as unsupported", "[image]") {
  const auto bytes = sphere::test::golden_package_v2();
  const auto package = image::parse_package(bytes);
  REQUIRE(package);
  CHECK(image::require_application(*package).error().code() == Errc::unsupported);
  const auto v1_bytes = sphere::test::golden_package();
  const auto v1 = image::parse_package(v1_bytes);
  REQUIRE(v1);
  TestTools tools{1};
  CHECK(image::check_body_v2(*v1, tools.get()).error().code() == Errc::unsupported);
  CHECK(image::open_body(*v1).error().code() == Errc::unsupported);
  CHECK(image::sign_tail_v2(*v1, {}, sphere::test::GoldenSigner{}).error().code() ==
        Errc::unsupported);
}
