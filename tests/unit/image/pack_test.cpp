// SPDX-License-Identifier: MIT
#include "sphere/image/pack.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "libsdk/src/image/pack_sources.h"
#include "sphere/core/encoding.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/core/thread_pool.h"
#include "sphere/crypto/digest.h"
#include "sphere/crypto/signer.h"
#include "sphere/image/asxipfs.h"
#include "sphere/image/package.h"
#include "sphere/image/trust.h"
#include "tests/unit/image/golden.h"

namespace fs = std::filesystem;
using sphere::Errc;
using sphere::image::pack_application;
using sphere::image::PackRequest;
using sphere::image::parse_package;

namespace {

// Signs nothing, like a token that was pulled out.
class BrokenSigner final : public sphere::crypto::Signer {
 public:
  [[nodiscard]] const sphere::crypto::PublicKey& public_key() const override {
    return sphere::image::public_test_key();
  }
  [[nodiscard]] sphere::crypto::Sha1Digest thumbprint() const override { return {}; }
  [[nodiscard]] sphere::Result<std::vector<sphere::crypto::Signature>> sign(
      std::span<const sphere::crypto::Sha256Digest> /*digests*/) const override {
    return sphere::fail(Errc::unavailable, "no token", {.reason = "key.token-missing"});
  }
};

struct Fixture {
  Fixture() {
    auto made = sphere::TemporaryDirectory::create();
    REQUIRE(made);
    directory.emplace(*std::move(made));
    root = directory->path() / "app";
    sphere::test::write_golden_files(root);
    request = {.directory = root,
               .manifest_text = std::string{sphere::test::kGoldenManifest},
               .executables = {"/bin/app"},
               .name = "golden",
               .component_id = *sphere::Guid::parse(sphere::test::kGoldenComponent),
               .build_time = sphere::test::kGoldenTime,
               .reproducible = true,
               .api_set = 12};
  }

  Errc refusal() const {
    const auto packed = pack_application(request, signer);
    REQUIRE_FALSE(packed);
    return packed.error().code();
  }

  std::optional<sphere::TemporaryDirectory> directory;
  fs::path root;
  PackRequest request;
  sphere::test::GoldenSigner signer;
};

}  // namespace

TEST_CASE_METHOD(Fixture, "pack_application makes the golden package", "[image]") {
  const auto packed = pack_application(request, signer);

  REQUIRE(packed);
  CHECK(packed->image_id.text() == "dbb0d1a4-8149-859c-a92c-b193c566ab20");
  const auto package = parse_package(packed->bytes);
  REQUIRE(package);
  CHECK(sphere::to_hex(sphere::image::check_body(*package)->signed_bytes) ==
        "e0614c1ec51b4fbaa82ff2f752b472fd56a658adef2143c362bbdee259d66d1a");
  CHECK(sphere::image::verify(*package, sphere::test::golden_trust()));
}

TEST_CASE_METHOD(Fixture, "modes, times and order of the files do not change a package",
                 "[image]") {
  const auto first = pack_application(request, signer);
  REQUIRE(first);
  // The same content, written in another order with other modes into another directory.
  request.directory = directory->path() / "other";
  REQUIRE(sphere::make_directories(request.directory / "certs/ca"));
  REQUIRE(sphere::make_directories(request.directory / "bin"));
  for (const auto* name : {"main.txt", "certs/empty.txt", "certs/ca/root.pem", "bin/app"}) {
    fs::copy_file(root / name, request.directory / name);
    REQUIRE(::chmod((request.directory / name).c_str(), 0700) == 0);
  }
  REQUIRE(sphere::write_file(request.directory / "app_manifest.json", "replaced"));

  const auto second = pack_application(request, signer);

  REQUIRE(second);
  const auto size = first->bytes.size() - 64;
  CHECK(std::ranges::equal(std::span{first->bytes}.first(size),
                           std::span{second->bytes}.first(second->bytes.size() - 64)));
}

TEST_CASE_METHOD(Fixture, "the image id is the given one, derived, or random", "[image]") {
  request.image_id = sphere::Guid::parse("01234567-89ab-4def-8123-456789abcdef");
  CHECK(pack_application(request, signer)->image_id == *request.image_id);

  request.image_id.reset();
  const auto derived = pack_application(request, signer)->image_id;
  CHECK(pack_application(request, signer)->image_id == derived);
  request.build_time += 1;
  CHECK(pack_application(request, signer)->image_id != derived);

  request.reproducible = false;
  const auto random = pack_application(request, signer)->image_id;
  CHECK(random.text()[14] == '4');
  CHECK(pack_application(request, signer)->image_id != random);
}

TEST_CASE_METHOD(Fixture, "without an API set ND has no entry, as for a real-time app", "[image]") {
  request.api_set.reset();
  const auto packed = pack_application(request, signer);
  REQUIRE(packed);
  CHECK(packed->bytes.size() == 24'576 + 204);
  const auto package = parse_package(packed->bytes);
  REQUIRE(package);
  REQUIRE(package->metadata.depends);
  CHECK(package->metadata.depends->empty());
}

TEST_CASE_METHOD(Fixture, "a link that stays inside is stored as what it names", "[image]") {
  fs::create_symlink("../bin/app", root / "certs/app");
  fs::create_directory_symlink("ca", root / "certs/more");
  const auto packed = pack_application(request, signer);
  REQUIRE(packed);
  const auto package = parse_package(packed->bytes);
  REQUIRE(package);
  REQUIRE(package->files.find("certs/app") != nullptr);
  CHECK_FALSE(package->files.find("certs/app")->executable);
  CHECK(package->files.find("certs/app")->size == 5000);
  CHECK(package->files.find("certs/more/root.pem") != nullptr);
}

TEST_CASE_METHOD(Fixture, "a tree that cannot be packed is refused", "[image]") {
  SECTION("a link to the outside") {
    fs::create_symlink("/etc/passwd", root / "certs/passwd");
    CHECK(refusal() == Errc::invalid_argument);
  }
  SECTION("a link to a neighbour whose name begins alike") {
    REQUIRE(sphere::make_directories(directory->path() / "app2"));
    fs::create_directory_symlink("../app2", root / "more");
    CHECK(refusal() == Errc::invalid_argument);
  }
  SECTION("a link to nothing") {
    fs::create_symlink("none", root / "gone");
    CHECK(refusal() == Errc::invalid_argument);
  }
  SECTION("a link to its own directory") {
    fs::create_directory_symlink(".", root / "certs/self");
    CHECK(refusal() == Errc::too_large);
  }
  SECTION("a pipe") {
    REQUIRE(::mkfifo((root / "pipe").c_str(), 0600) == 0);
    CHECK(refusal() == Errc::invalid_argument);
  }
  SECTION("a name with a control character") {
    REQUIRE(sphere::write_file(root / "a\nb", "x"));
    CHECK(refusal() == Errc::invalid_argument);
  }
  SECTION("a missing executable") {
    request.executables.emplace_back("bin/other");
    CHECK(refusal() == Errc::not_found);
  }
  SECTION("a missing directory") {
    request.directory = root / "none";
    CHECK(refusal() == Errc::not_found);
  }
  SECTION("a file instead of a directory") {
    request.directory = root / "main.txt";
    CHECK(refusal() == Errc::invalid_argument);
  }
  SECTION("a file above 24 bits") {
    REQUIRE(sphere::write_file(root / "big", ""));
    fs::resize_file(root / "big", sphere::image::kMaxFileBytes + 1);
    CHECK(refusal() == Errc::too_large);
  }
}

TEST_CASE_METHOD(Fixture, "a signer's failure is passed on", "[image]") {
  const auto packed = pack_application(request, BrokenSigner{});
  REQUIRE_FALSE(packed);
  CHECK(packed.error().hint().reason == "key.token-missing");
}

TEST_CASE_METHOD(Fixture, "sign_again replaces thumbprint and signature and nothing else",
                 "[image]") {
  const auto package = sphere::test::golden_package();
  auto key = sphere::crypto::PrivateKey::generate();
  REQUIRE(key);
  const sphere::crypto::KeySigner other{*std::move(key), std::nullopt};

  const auto bytes = sphere::image::sign_again(package, other);

  REQUIRE(bytes);
  REQUIRE(bytes->size() == package.size());
  const auto thumbprint = 24'576 + 8 + 40 + 4;
  for (std::size_t i = 0; i < package.size() - 64; ++i) {
    const bool is_thumbprint = i >= thumbprint && i < thumbprint + 20;
    if (!is_thumbprint && package[i] != bytes->at(i)) {
      FAIL("byte " << i << " changed");
    }
  }
  sphere::image::TrustStore trust;
  trust.add({.key = other.public_key(), .thumbprints = {other.thumbprint()}});
  const auto parsed = parse_package(*bytes);
  REQUIRE(parsed);
  CHECK(sphere::image::verify(*parsed, trust));
  CHECK_FALSE(sphere::image::verify(*parsed, sphere::test::golden_trust()));
  // Back again gives the same signed bytes.
  const auto back = sphere::image::sign_again(*bytes, signer);
  REQUIRE(back);
  CHECK(std::ranges::equal(std::span{*back}.first(back->size() - 64),
                           std::span{package}.first(package.size() - 64)));
}

TEST_CASE_METHOD(Fixture, "sign_again refuses what is no package v1", "[image]") {
  CHECK(sphere::image::sign_again({}, signer).error().code() == Errc::corrupt);
  const auto v2 = sphere::test::patched(sphere::test::golden_package(), 24'576 + 8 + 40 + 4 + 20,
                                        std::string_view{"\x02\0\0\x80", 4});
  CHECK(sphere::image::sign_again(v2, signer).error().code() == Errc::unsupported);
}

namespace {

// The package that build_application() puts into a file, without its signature.
sphere::test::Bytes build_in_file(const PackRequest& request, const fs::path& path,
                                  std::size_t memory, sphere::ThreadPool* pool = nullptr) {
  auto file = sphere::AtomicFile::create(path, {.sync = false});
  REQUIRE(file);
  const auto built =
      sphere::image::build_application(request, sphere::test::GoldenSigner{}.thumbprint(),
                                       {.output = &*file, .memory = memory, .pool = pool});
  REQUIRE(built);
  CHECK(built->bytes.empty());
  REQUIRE(file->commit());
  auto bytes = sphere::read_file(path, std::size_t{1} << 26U);
  REQUIRE(bytes);
  CHECK(bytes->size() == built->size);
  CHECK(sphere::crypto::sha256(*bytes) == built->digest);
  return *std::move(bytes);
}

}  // namespace

TEST_CASE_METHOD(Fixture, "a package streamed to a file equals the one made in memory", "[image]") {
  for (const std::size_t size : {1U, 4096U, 262'144U, 262'145U, 3'000'001U}) {
    const auto content = sphere::test::pattern(size, size % 7);
    REQUIRE(sphere::write_file(root / fmt::format("data{}", size), content));
  }
  for (const bool reproducible : {true, false}) {
    request.reproducible = reproducible;
    request.image_id =
        reproducible ? std::nullopt : sphere::Guid::parse("01234567-89ab-4def-8123-456789abcdef");
    const auto whole = pack_application(request, signer);
    REQUIRE(whole);
    const auto expected = std::span{whole->bytes}.first(whole->bytes.size() - 64);
    CHECK(std::ranges::equal(build_in_file(request, directory->path() / "out", 4096), expected));
    for (const std::size_t threads : {1U, 2U, 8U}) {
      sphere::ThreadPool pool{threads};
      CHECK(std::ranges::equal(build_in_file(request, directory->path() / "out", 0, &pool),
                               expected));
    }
  }
}

TEST_CASE_METHOD(Fixture, "a package that fits into the memory does not touch the output file",
                 "[image]") {
  auto file = sphere::AtomicFile::create(directory->path() / "out");
  REQUIRE(file);
  const auto built =
      sphere::image::build_application(request, signer.thumbprint(), {.output = &*file});
  REQUIRE(built);
  CHECK(built->bytes.size() == built->size);
  CHECK(built->digest == sphere::crypto::sha256(built->bytes));
}

TEST_CASE_METHOD(Fixture, "a source that changes while it is packed is an error", "[image]") {
  const auto path = root / "main.txt";
  const auto sources = sphere::image::PackSources::list(request);
  REQUIRE(sources);
  const auto crc = sources->read_crc(nullptr);
  REQUIRE(crc);
  const auto ignore = [](std::span<const std::byte>) -> sphere::Result<void> { return {}; };
  REQUIRE(sources->stream_body(*crc, ignore));
  CHECK(sources->stream_body(*crc ^ 1U, ignore).error().code() == Errc::io);

  for (const std::string_view content : {"", "longer than before", "B"}) {
    INFO(content);
    if (content == "B") {  // The same size: only its time tells, or its being another file.
      REQUIRE(sphere::write_file(path, content));
    } else {
      fs::resize_file(path, content.size());
    }
    const auto streamed = sources->stream_body(*crc, ignore);
    REQUIRE_FALSE(streamed);
    CHECK(streamed.error().code() == Errc::io);
    CHECK(streamed.error().message().find("main.txt was changed") != std::string::npos);
    CHECK(streamed.error().hint().reason == "local.file-unreadable");
    CHECK(sources->read_crc(nullptr).error().code() == Errc::io);
    CHECK(sources->read_body(0).error().code() == Errc::io);
  }
  fs::remove(path);
  CHECK(sources->read_body(0).error().code() == Errc::not_found);
}
