// SPDX-License-Identifier: MIT
#include "sphere/image/receive_v2.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <fcntl.h>
#include <filesystem>
#include <random>
#include <span>
#include <string>
#include <unistd.h>
#include <utility>

#include <catch2/catch.hpp>

#include "sphere/core/descriptor.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/crypto/block_hash.h"
#include "sphere/image/block_io.h"
#include "sphere/image/package.h"
#include "sphere/image/package_v2.h"
#include "sphere/image/verify_v2.h"
#include "tests/unit/image/golden_v2.h"

using sphere::Errc;
using sphere::image::PackageReceiver;
using sphere::test::Bytes;
using sphere::test::TestTools;

namespace image = sphere::image;

namespace {

Bytes large_package(bool compress, std::size_t size = 3'000'000) {
  std::mt19937 random{4};
  Bytes bytes(size);
  std::ranges::generate(bytes, [&] { return static_cast<std::byte>(random()); });
  std::ranges::fill(std::span{bytes}.subspan(size / 3, size / 3), std::byte{5});
  const image::MemoryBlocks source{bytes};
  auto info = sphere::test::golden_info();
  info.compress = compress;
  TestTools tools;
  auto package =
      sphere::test::pack_v2({.source = &source, .size = size, .info = info}, tools.get());
  REQUIRE(package);
  return *std::move(package);
}

// A file that a device keeps what it has received in.
class Flash {
 public:
  Flash()
      : descriptor_{
            ::open((directory_.path() / "download").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)} {
    REQUIRE(descriptor_);
  }
  [[nodiscard]] PackageReceiver::Target target(const Bytes& package) const {
    return {.descriptor = descriptor_.get(), .name = "download", .package_bytes = package.size()};
  }
  void damage(std::uint64_t offset) const {
    std::byte byte = {};
    REQUIRE(::pread(descriptor_.get(), &byte, 1, static_cast<off_t>(offset)) == 1);
    byte ^= std::byte{0x40};
    REQUIRE(::pwrite(descriptor_.get(), &byte, 1, static_cast<off_t>(offset)) == 1);
  }
  [[nodiscard]] Bytes content() const {
    return *sphere::read_file(directory_.path() / "download", 100'000'000);
  }

 private:
  sphere::TemporaryDirectory directory_ = *sphere::TemporaryDirectory::create();
  sphere::Descriptor descriptor_;
};

// Fetches up to `limit` bytes in pieces of random size, and counts them. True: all is there.
bool receive(PackageReceiver& receiver, const Bytes& package, std::mt19937& random,
             std::uint64_t limit, std::uint64_t& fetched) {
  while (const auto range = receiver.wanted()) {
    const auto piece = std::min<std::uint64_t>(range->size, 1 + random() % 70'000);
    if (piece > limit) {
      return false;
    }
    REQUIRE(receiver.take(std::span{package}.subspan(static_cast<std::size_t>(range->offset),
                                                     static_cast<std::size_t>(piece))));
    limit -= piece;
    fetched += piece;
  }
  return true;
}

}  // namespace

TEST_CASE("a package is received whole, each byte once", "[image]") {
  const bool compress = GENERATE(false, true);
  const auto package = large_package(compress);
  const auto trust = sphere::test::golden_trust();
  TestTools tools;
  const Flash flash;
  auto receiver = PackageReceiver::open(flash.target(package), trust, *tools.get().engine);
  REQUIRE(receiver);
  std::mt19937 random{1};
  std::uint64_t fetched = 0;

  CHECK(receive(*receiver, package, random, UINT64_MAX, fetched));

  CHECK(fetched <= package.size() + 4096);  // The last 4096 bytes hold a little of the tree.
  CHECK(flash.content() == package);
  const auto verified = receiver->finish();
  REQUIRE(verified);
  CHECK(image::check_body_v2(**verified, tools.get()));
  CHECK(receiver->take(std::span{package}.first(1)).error().code() == Errc::invalid_argument);
}

TEST_CASE("a download cut at 100 random points ends with the right package", "[image]") {
  const bool compress = GENERATE(false, true);
  const auto package = large_package(compress, 9'000'000);
  const auto trust = sphere::test::golden_trust();
  TestTools tools;
  const Flash flash;
  std::mt19937 random{2};
  std::uint64_t fetched = 0;
  std::size_t cuts = 0;
  bool complete = false;
  while (!complete && cuts < 100) {
    auto receiver = PackageReceiver::open(flash.target(package), trust, *tools.get().engine);
    REQUIRE(receiver);
    complete = receive(*receiver, package, random, random() % 170'000, fetched);
    cuts += complete ? 0 : 1;
  }
  auto receiver = PackageReceiver::open(flash.target(package), trust, *tools.get().engine);
  REQUIRE(receiver);
  CHECK(receive(*receiver, package, random, UINT64_MAX, fetched));

  CHECK(cuts >= 40);
  CHECK(flash.content() == package);
  CHECK(fetched <= package.size() + (cuts + 1) * 262'144);
  CHECK(receiver->finish());
}

TEST_CASE("what the power cut damaged is fetched again, and nothing else", "[image]") {
  const bool compress = GENERATE(false, true);
  const auto package = large_package(compress);
  const auto layout = image::parse_package(package)->layout;
  const auto trust = sphere::test::golden_trust();
  TestTools tools;
  std::mt19937 random{3};
  const Flash flash;
  std::uint64_t fetched = 0;
  {
    auto receiver = PackageReceiver::open(flash.target(package), trust, *tools.get().engine);
    REQUIRE(receiver);
    REQUIRE(receive(*receiver, package, random, UINT64_MAX, fetched));
  }
  const auto place = GENERATE_COPY(std::uint64_t{100}, layout->body_area / 2,
                                   layout->body_area - 1,         // Body.
                                   layout->body_area + 3,         // Superblock.
                                   layout->body_area + 4096 + 9,  // Top of the tree.
                                   layout->body_area + 8192 + 9,  // Leaves.
                                   std::uint64_t{package.size() - 100});
  flash.damage(place);

  auto receiver = PackageReceiver::open(flash.target(package), trust, *tools.get().engine);

  REQUIRE(receiver);
  CHECK(receiver->wanted());
  fetched = 0;
  CHECK(receive(*receiver, package, random, UINT64_MAX, fetched));
  CHECK(flash.content() == package);
  CHECK(receiver->finish());
  if (place < layout->body_area) {
    CHECK(fetched <= 262'144);
  }
}

TEST_CASE("bytes that are not the signed ones are refused and not stored", "[image]") {
  const bool compress = GENERATE(false, true);
  const auto good = large_package(compress);
  const auto layout = image::parse_package(good)->layout;
  const auto trust = sphere::test::golden_trust();
  TestTools tools;
  std::mt19937 random{5};
  for (const auto place : {std::uint64_t{0}, layout->body_area / 2, layout->body_area + 5,
                           layout->body_area + 4096, layout->body_area + 8192 + 100,
                           std::uint64_t{good.size() - 200}, std::uint64_t{good.size() - 1}}) {
    INFO("byte " << place);
    auto bad = good;
    bad[static_cast<std::size_t>(place)] ^= std::byte{1};
    const Flash flash;
    auto receiver = PackageReceiver::open(flash.target(good), trust, *tools.get().engine);
    REQUIRE(receiver);
    bool refused = false;
    while (const auto range = receiver->wanted()) {
      const auto bytes = std::span{refused ? good : bad}.subspan(
          static_cast<std::size_t>(range->offset), static_cast<std::size_t>(range->size));
      const auto taken = receiver->take(bytes);
      if (!taken) {
        CHECK_FALSE(refused);
        refused = true;
      }
    }
    CHECK(refused);
    CHECK(flash.content() == good);
  }
}

TEST_CASE("a receiver asks for nothing of a package that cannot be one", "[image]") {
  const auto trust = sphere::test::golden_trust();
  TestTools tools;
  const Flash flash;
  auto target = flash.target(Bytes(100));
  CHECK_FALSE(PackageReceiver::open(target, trust, *tools.get().engine));
  target.package_bytes = std::uint64_t{3} << 30U;
  CHECK(PackageReceiver::open(target, trust, *tools.get().engine).error().code() ==
        Errc::too_large);
  const auto v1 = sphere::test::golden_package();
  auto receiver = PackageReceiver::open(flash.target(v1), trust, *tools.get().engine);
  REQUIRE(receiver);
  const auto range = receiver->wanted();
  REQUIRE(range);
  CHECK(receiver->take(std::span{v1}.subspan(static_cast<std::size_t>(range->offset)))
            .error()
            .code() == Errc::unsupported);
}

TEST_CASE("a plain stream is checked against the signed root", "[image]") {
  const auto package = large_package(false);
  const auto parsed = image::parse_package(package);
  REQUIRE(parsed);
  TestTools tools;
  const auto& identity = parsed->metadata.identity;
  const auto check = [&](const Bytes& bytes) {
    image::StreamVerifier verifier{*tools.get().engine, identity.component_id,
                                   parsed->layout->body_area};
    for (std::size_t at = 0; at < bytes.size(); at += 10'007) {
      REQUIRE(verifier.update(
          std::span{bytes}.subspan(at, std::min<std::size_t>(10'007, bytes.size() - at))));
    }
    return verifier.finish(parsed->layout->tree);
  };
  CHECK(check(package));
  auto bad = package;
  bad[1'000'000] ^= std::byte{1};
  CHECK(check(bad).error().code() == Errc::unverified);
  CHECK(check(Bytes{package.begin(), package.begin() + 4096}).error().code() == Errc::corrupt);
}
