// SPDX-License-Identifier: MIT
#include "sphere/image/package.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "sphere/core/encoding.h"
#include "sphere/core/result.h"
#include "sphere/crypto/digest.h"
#include "sphere/image/metadata.h"
#include "sphere/image/pack.h"
#include "tests/unit/image/golden.h"

using sphere::Errc;
using sphere::image::parse_package;
using sphere::test::Bytes;

namespace {

// A file of `type` around a page of zeros.
Bytes file_of_type(std::uint16_t type, std::uint32_t signing_type = 1) {
  Bytes file(4096);
  const auto metadata = sphere::image::write_metadata(
      {.image_type = type, .component_id = *sphere::Guid::parse(sphere::test::kGoldenComponent)},
      {.signing_type = signing_type}, {}, 2, std::nullopt);
  file.insert(file.end(), metadata.begin(), metadata.end());
  file.resize(file.size() + 64);
  return file;
}

}  // namespace

TEST_CASE("parse_package gives metadata, body and files of the golden package", "[image]") {
  const auto bytes = sphere::test::golden_package();

  const auto package = parse_package(bytes);

  REQUIRE(package);
  CHECK(package->size == 24'788);
  CHECK(package->metadata.body_size == 24'576);
  CHECK(package->metadata.debug.name == "golden");
  CHECK(package->files.files.size() == 5);
  CHECK(sphere::to_hex(sphere::image::check_body(*package)->signed_bytes) ==
        "e0614c1ec51b4fbaa82ff2f752b472fd56a658adef2143c362bbdee259d66d1a");
}

TEST_CASE("the golden package with its stored signature is the golden file", "[image]") {
  auto bytes = sphere::test::golden_package();
  const auto signature = *sphere::from_hex(
      "6456cff9bee2b34d734c5a5520ad2a951394e58ceffb909b574eb0e4f9c61e4a"
      "8b403ed4f1ee44854f1ec3fad2c39e54ebed1f2c45eb888a7b6d15c39238deeb");
  bytes = sphere::test::patched(std::move(bytes), bytes.size() - 64, std::span{signature});

  CHECK(sphere::to_hex(sphere::crypto::sha256(bytes)) ==
        "db20554875d51e4c188d65c49a1b28a0c9bad6977b0be45a30ca7b078c12a59c");
  const auto package = parse_package(bytes);
  REQUIRE(package);
  CHECK(sphere::image::verify(*package, sphere::test::golden_trust()));
}

TEST_CASE("a package of another kind opens without files and is no application", "[image]") {
  struct Case {
    std::uint16_t type;
    std::uint32_t signing_type;
    std::string kind;
  };
  const auto test = GENERATE(values<Case>({
      {13, 1, "capability"},
      {21, 1, "board configuration"},
      {8, 1, "image of type 8 (Root file system)"},
      {99, 1, "image of type 99"},
  }));
  const auto file = file_of_type(test.type, test.signing_type);

  const auto package = parse_package(file);

  REQUIRE(package);
  CHECK(package->files.files.empty());
  const auto application = sphere::image::require_application(*package);
  REQUIRE_FALSE(application);
  CHECK(application.error().code() == Errc::unsupported);
  CHECK(application.error().hint().reason == "package.unsupported");
  CHECK(application.error().hint().value == test.kind);
}

TEST_CASE("parse_package refuses a package above its limit, naming both sizes", "[image]") {
  const auto bytes = sphere::test::golden_package();
  const auto package = parse_package(bytes, {.package_bytes = 24'787});
  REQUIRE_FALSE(package);
  CHECK(package.error().code() == Errc::too_large);
  CHECK(package.error().message() == "the package has 24,788 bytes; at most 24,787 are allowed");
  CHECK(parse_package(bytes, {.package_bytes = 24'788}));
}

TEST_CASE("an application without a manifest, or with a huge one, is refused", "[image]") {
  auto content = sphere::test::golden_content();
  content["app_manifest.json"].content.assign(65'537, std::byte{' '});
  const auto huge = sphere::test::package_of(*sphere::image::write_asxipfs(content));
  CHECK(parse_package(huge).error().code() == Errc::too_large);

  content.erase("app_manifest.json");
  const auto without = sphere::test::package_of(*sphere::image::write_asxipfs(content));
  CHECK(parse_package(without).error().code() == Errc::corrupt);
}

TEST_CASE("an application whose body is no file system is corrupt", "[image]") {
  CHECK(parse_package(file_of_type(10)).error().code() == Errc::corrupt);
}

TEST_CASE("a package truncated at any length is refused", "[image]") {
  const auto bytes = sphere::test::golden_package();
  const auto trust = sphere::test::golden_trust();
  std::size_t accepted = 0;
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const auto package = parse_package(std::span{bytes}.first(size));
    accepted += package && sphere::image::verify(*package, trust) ? 1 : 0;
  }
  CHECK(accepted == 0);
}

TEST_CASE("no flipped bit of a package verifies", "[image]") {
  const auto bytes = sphere::test::golden_package();
  const auto trust = sphere::test::golden_trust();
  std::size_t accepted = 0;
  std::size_t wrong_code = 0;
  const auto flip = [&](std::size_t bit) {
    auto damaged = bytes;
    damaged[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    const auto package = parse_package(damaged);
    if (!package) {
      const auto code = package.error().code();
      wrong_code +=
          code == Errc::corrupt || code == Errc::unsupported || code == Errc::too_large ? 0 : 1;
      return;
    }
    const auto verified = sphere::image::verify(*package, trust);
    accepted += verified ? 1 : 0;
    wrong_code += !verified && verified.error().code() != Errc::unverified ? 1 : 0;
  };

  for (std::size_t bit = 0; bit < std::size_t{512} * 8; ++bit) {  // Superblock and inode area.
    flip(bit);
  }
  for (std::size_t bit = std::size_t{24'576} * 8; bit < bytes.size() * 8; ++bit) {
    flip(bit);  // Metadata and signature.
  }
  for (std::size_t at = 512; at < 24'576; at += 512) {
    flip(at * 8 + at / 512 % 8 + 8 * (at / 7 % 512));
  }

  CHECK(accepted == 0);
  CHECK(wrong_code == 0);
}
