// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <utility>

#include <catch2/catch.hpp>

#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/image/block_io.h"
#include "sphere/image/metadata.h"
#include "sphere/image/package.h"
#include "sphere/image/package_v2.h"
#include "sphere/image/sign_v2.h"
#include "sphere/image/trust.h"
#include "sphere/image/verify_v2.h"
#include "tests/unit/image/golden_v2.h"

using sphere::Errc;
using sphere::test::Bytes;
using sphere::test::GoldenSigner;
using sphere::test::pack_to_memory;
using sphere::test::TestTools;

namespace image = sphere::image;

namespace {

// An application with a file that compresses well.
Bytes large_package_v2(bool compress) {
  const auto directory = sphere::TemporaryDirectory::create();
  REQUIRE(directory);
  sphere::test::write_golden_files(directory->path());
  REQUIRE(sphere::write_file(directory->path() / "text", std::string(1'500'000, 'x')));
  auto application = sphere::test::golden_application(directory->path());
  application.info.compress = compress;
  TestTools tools;
  auto package = sphere::test::pack_v2(application, tools.get());
  REQUIRE(package);
  return *std::move(package);
}

void check_good(const Bytes& bytes) {
  TestTools tools;
  auto package = image::parse_package(bytes);
  REQUIRE(package);
  const auto verified = image::verify(*std::move(package), sphere::test::golden_trust());
  REQUIRE(verified);
  if ((*verified)->kind == image::PackageKind::package_v2) {
    CHECK(image::check_body_v2(**verified, tools.get()));
  }
}

}  // namespace

TEST_CASE("v1 to v2 and back gives the same bytes but the signature", "[image]") {
  const auto v1 = sphere::test::golden_package();
  const auto package = image::parse_package(v1);
  REQUIRE(package);
  TestTools tools;

  const auto v2 = pack_to_memory([&](const image::PackOutput& output) {
    return image::convert_to_v2(*package, sphere::test::golden_info(), GoldenSigner{}, tools.get(),
                                output);
  });

  REQUIRE(v2);
  check_good(*v2);
  const auto converted = image::parse_package(*v2);
  REQUIRE(converted);
  CHECK(converted->metadata.identity.image_id == package->metadata.identity.image_id);
  CHECK(converted->metadata.v2.security->image == 7);
  // The same inputs as those of the package that is packed from the files.
  CHECK(converted->metadata.v2.provenance->at(0).key == "apiset");
  CHECK(converted->metadata.v2.provenance->at(2).value ==
        image::read_metadata(sphere::test::golden_package_v2())->v2.provenance->at(1).value);
  const auto back = pack_to_memory([&](const image::PackOutput& output) {
    return image::convert_to_v1(*converted, GoldenSigner{}, output);
  });
  REQUIRE(back);
  CHECK(back->size() == v1.size());
  CHECK(std::ranges::equal(std::span{*back}.first(v1.size() - 64),
                           std::span{v1}.first(v1.size() - 64)));
  check_good(*back);
}

TEST_CASE("the expanded form has the metadata and signature of the compressed one", "[image]") {
  const auto compressed = large_package_v2(true);
  const auto package = image::parse_package(compressed);
  REQUIRE(package);
  REQUIRE_FALSE(package->layout->expanded);

  const auto expanded = pack_to_memory([&](const image::PackOutput& output) {
    return image::write_expanded_form(*package, output);
  });

  REQUIRE(expanded);
  check_good(*expanded);
  const auto reread = image::parse_package(*expanded);
  REQUIRE(reread);
  CHECK(reread->layout->expanded);
  CHECK(std::ranges::equal(*reread->tail, *package->tail));

  SECTION("and expands to itself") {
    const auto again = pack_to_memory([&](const image::PackOutput& output) {
      return image::write_expanded_form(*reread, output);
    });
    REQUIRE(again);
    CHECK(*again == *expanded);
  }
}

TEST_CASE("a package is compressed under the same image id", "[image]") {
  const auto plain = large_package_v2(false);
  const auto package = image::parse_package(plain);
  REQUIRE(package);
  TestTools tools;

  const auto compressed = pack_to_memory([&](const image::PackOutput& output) {
    return image::compress_package(*package, GoldenSigner{}, tools.get(), output);
  });

  REQUIRE(compressed);
  CHECK(compressed->size() < 200'000);
  check_good(*compressed);
  const auto result = image::parse_package(*compressed);
  REQUIRE(result);
  CHECK(result->metadata.identity.image_id == package->metadata.identity.image_id);
  CHECK(result->metadata.v2.tree->root == package->metadata.v2.tree->root);
  CHECK(result->metadata.v2.provenance->size() == package->metadata.v2.provenance->size());

  SECTION("as packing with compression gives it") {
    const auto packed = large_package_v2(true);
    CHECK(std::ranges::equal(std::span{*compressed}.first(compressed->size() - 64),
                             std::span{packed}.first(compressed->size() - 64)));
  }
  SECTION("and compressing it again changes nothing") {
    const auto again = image::parse_package(*compressed);
    REQUIRE(again);
    const auto twice = pack_to_memory([&](const image::PackOutput& output) {
      return image::compress_package(*again, GoldenSigner{}, tools.get(), output);
    });
    REQUIRE(twice);
    CHECK(std::ranges::equal(std::span{*twice}.first(twice->size() - 64),
                             std::span{*compressed}.first(twice->size() - 64)));
  }
}

TEST_CASE("a damaged body is not converted", "[image]") {
  auto bytes = sphere::test::golden_package_v2();
  bytes[9000] ^= std::byte{1};
  const auto package = image::parse_package(bytes);
  REQUIRE(package);
  const auto result = pack_to_memory([&](const image::PackOutput& output) {
    return image::convert_to_v1(*package, GoldenSigner{}, output);
  });
  REQUIRE_FALSE(result);
  CHECK(result.error().code() == Errc::unverified);
}

TEST_CASE("only what fits is converted", "[image]") {
  TestTools tools;
  const Bytes image_bytes(5000, std::byte{1});
  const image::MemoryBlocks source{image_bytes};
  const auto raw = sphere::test::pack_v2(
      {.source = &source, .size = image_bytes.size(), .info = sphere::test::golden_info()},
      tools.get());
  REQUIRE(raw);
  const auto package = image::parse_package(*raw);
  REQUIRE(package);
  CHECK(pack_to_memory([&](const image::PackOutput& output) {
          return image::convert_to_v1(*package, GoldenSigner{}, output);
        })
            .error()
            .code() == Errc::unsupported);
  CHECK(pack_to_memory([&](const image::PackOutput& output) {
          return image::convert_to_v2(*package, {}, GoldenSigner{}, tools.get(), output);
        })
            .error()
            .code() == Errc::unsupported);
}
