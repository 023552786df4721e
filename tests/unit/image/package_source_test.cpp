// SPDX-License-Identifier: MIT
// Packages that are read from a source piece by piece.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <sys/stat.h>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/image/asxipfs.h"
#include "sphere/image/block_io.h"
#include "sphere/image/package.h"
#include "sphere/image/trust.h"
#include "tests/unit/image/golden.h"

using sphere::Errc;
using sphere::Result;
using sphere::image::open_package;
using sphere::image::verify;
using sphere::test::Bytes;

namespace {

// Copies what it gives, as a file does, and counts.
class CountingBlocks final : public sphere::image::BlockSource {
 public:
  explicit CountingBlocks(Bytes content) : bytes{std::move(content)} {}

  [[nodiscard]] Result<std::span<const std::byte>> read(
      std::uint64_t offset, std::span<std::byte> buffer) const override {
    REQUIRE(offset + buffer.size() <= bytes.size());
    std::ranges::copy(std::span{bytes}.subspan(offset, buffer.size()), buffer.begin());
    read_bytes += buffer.size();
    largest = std::max(largest, buffer.size());
    return buffer;
  }

  Bytes bytes;
  mutable std::size_t read_bytes = 0;
  mutable std::size_t largest = 0;
};

// An app with `size` bytes in one file beside the golden ones.
Bytes large_package(std::size_t size) {
  auto content = sphere::test::golden_content();
  content["data"].content = sphere::test::pattern(size, 11);
  return sphere::test::package_of(*sphere::image::write_asxipfs(content));
}

struct File {
  explicit File(const Bytes& bytes) {
    auto made = sphere::TemporaryDirectory::create();
    REQUIRE(made);
    directory = std::make_unique<sphere::TemporaryDirectory>(*std::move(made));
    path = directory->path() / "a.imagepackage";
    REQUIRE(sphere::write_file(path, bytes, {.sync = false}));
  }
  std::unique_ptr<sphere::TemporaryDirectory> directory;
  std::filesystem::path path;
};

}  // namespace

TEST_CASE("opening a package reads its ends, verifying it reads it once", "[image]") {
  const auto source = std::make_shared<CountingBlocks>(large_package(3'000'000));
  const auto package = open_package(source, source->bytes.size());
  REQUIRE(package);
  CHECK(source->read_bytes <= 3 * 4096);

  const auto verified = verify(*package, sphere::test::golden_trust());

  REQUIRE(verified);
  CHECK(source->read_bytes <= source->bytes.size() + source->bytes.size() / 100);
  CHECK(source->largest <= sphere::image::kReadBytes);
}

TEST_CASE("files are read through the source", "[image]") {
  const auto source = std::make_shared<CountingBlocks>(large_package(600'000));
  const auto package = open_package(source, source->bytes.size());
  REQUIRE(package);
  const auto& files = package->files;
  CHECK(sphere::test::content_of(files, *files.find("data")) == sphere::test::pattern(600'000, 11));
  CHECK(sphere::test::content_of(files, *files.find("certs/empty.txt")).empty());

  Bytes streamed;
  source->largest = 0;
  REQUIRE(sphere::image::stream_file_content(
      files, *files.find("data"), [&](std::span<const std::byte> bytes) -> Result<void> {
        streamed.insert(streamed.end(), bytes.begin(), bytes.end());
        return {};
      }));
  CHECK(streamed == sphere::test::pattern(600'000, 11));
  CHECK(source->largest == sphere::image::kReadBytes);
  CHECK(sphere::image::check_asxipfs(files));
}

TEST_CASE("a file in memory is given where it lies", "[image]") {
  const auto bytes = sphere::test::golden_package();
  const auto package = sphere::image::parse_package(bytes);
  REQUIRE(package);
  const auto content =
      sphere::image::read_file_content(package->files, *package->files.find("bin/app"));
  REQUIRE(content);
  CHECK(content->bytes().data() == bytes.data() + 8192);
}

TEST_CASE("what was parsed is what is verified, whatever the source holds later", "[image]") {
  const auto source = std::make_shared<CountingBlocks>(sphere::test::golden_package());
  const auto package = open_package(source, source->bytes.size());
  REQUIRE(package);

  SECTION("directories and signature changed meanwhile are not looked at again") {
    source->bytes[124] ^= std::byte{1};
    source->bytes.back() ^= std::byte{1};
    CHECK(verify(*package, sphere::test::golden_trust()));
  }
  SECTION("a byte of a file changed meanwhile is found") {
    source->bytes[9000] ^= std::byte{1};
    CHECK(verify(*package, sphere::test::golden_trust()).error().code() == Errc::corrupt);
  }
}

TEST_CASE("a file that changes while it is read is an error", "[image]") {
  const File file{large_package(600'000)};
  const auto package = open_package(file.path);
  REQUIRE(package);
  const auto trust = sphere::test::golden_trust();
  REQUIRE(verify(*package, trust));

  SECTION("it shrinks") {
    std::filesystem::resize_file(file.path, 300'000);
    CHECK(verify(*package, trust).error().code() == Errc::io);
    const auto* const data = package->files.find("data");
    CHECK(sphere::image::read_file_content(package->files, *data).error().code() == Errc::io);
  }
  SECTION("it is written to") {
    std::filesystem::last_write_time(file.path, std::filesystem::file_time_type{});
    const auto verified = verify(*package, trust);
    REQUIRE_FALSE(verified);
    CHECK(verified.error().code() == Errc::io);
    CHECK_THAT(verified.error().message(), Catch::Contains("changed while it was read"));
  }
  SECTION("it is replaced by another: the one that was opened is read") {
    REQUIRE(sphere::write_file(file.path, sphere::test::to_bytes("other"), {.sync = false}));
    CHECK(verify(*package, trust));
  }
}

TEST_CASE("a pipe is refused and not waited for", "[image]") {
  const File file{{}};
  const auto pipe = file.directory->path() / "pipe";
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  const auto package = open_package(pipe);
  REQUIRE_FALSE(package);
  CHECK(package.error().code() == Errc::invalid_argument);
  CHECK_FALSE(package.error().hint().next.empty());
}

TEST_CASE("errors of a package in a file name the file once", "[image]") {
  const File empty{{}};
  const auto refused = open_package(empty.path);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code() == Errc::corrupt);
  CHECK_THAT(refused.error().message(), Catch::StartsWith(empty.path.string() + ": "));
  const auto missing = open_package(empty.directory->path() / "none");
  REQUIRE_FALSE(missing);
  CHECK(missing.error().code() == Errc::not_found);
}

TEST_CASE("a metadata block longer than the first read is read whole", "[image]") {
  const auto golden = sphere::test::golden_package();
  const auto old = sphere::image::parse_package(golden);
  REQUIRE(old);
  auto sections = old->metadata.sections;
  const Bytes payload(40'000, std::byte{7});
  sections.push_back({.id = {'X', 'Y'}, .payload = payload});
  auto bytes = sphere::test::golden_body();
  const auto block = sphere::image::write_sections(sections);
  bytes.insert(bytes.end(), block.begin(), block.end());
  bytes.resize(bytes.size() + 64);
  const auto source = std::make_shared<CountingBlocks>(bytes);

  const auto package = open_package(source, bytes.size());

  REQUIRE(package);
  CHECK(package->tail->size() == block.size() + 64);
  CHECK(std::ranges::equal(package->metadata.sections.back().payload, payload));
}
