// SPDX-License-Identifier: MIT
// Packages made to be refused: what looks whole but was changed, by somebody who keeps the CRC
// right and knows the format, must not verify.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "libsdk/src/image/crc32.h"
#include "sphere/core/result.h"
#include "sphere/core/writer.h"
#include "sphere/crypto/digest.h"
#include "sphere/image/asxipfs.h"
#include "sphere/image/block_io.h"
#include "sphere/image/metadata.h"
#include "sphere/image/package.h"
#include "sphere/image/trust.h"
#include "tests/support/skip.h"
#include "tests/unit/image/golden.h"

using sphere::Errc;
using sphere::Result;
using sphere::image::open_package;
using sphere::image::parse_package;
using sphere::image::Section;
using sphere::image::verify;
using sphere::test::Bytes;
using sphere::test::patched;
using sphere::test::with_crc;
using namespace std::string_view_literals;

namespace {

constexpr std::size_t kBody = 24'576;  // Of the golden package.
constexpr std::size_t kPage = 4096;

// What reading and verifying `bytes` says; nothing when they are accepted.
std::optional<Errc> refusal(const Bytes& bytes) {
  const auto package = parse_package(bytes);
  if (!package) {
    return package.error().code();
  }
  const auto verified = verify(*package, sphere::test::golden_trust());
  return verified ? std::nullopt : std::optional{verified.error().code()};
}

// The golden package around another body, with its old metadata and signature.
Bytes with_body(Bytes body) {
  static const auto golden = sphere::test::golden_package();
  body.insert(body.end(), golden.begin() + kBody, golden.end());
  return body;
}

// The golden package with other sections and its old signature.
Bytes with_block(std::span<const std::byte> block) {
  const auto golden = sphere::test::golden_package();
  Bytes bytes{golden.begin(), golden.begin() + kBody};
  bytes.insert(bytes.end(), block.begin(), block.end());
  bytes.insert(bytes.end(), golden.end() - 64, golden.end());
  return bytes;
}

// Zeros without end behind a small body: a package of any size that needs no memory.
class ZeroPages final : public sphere::image::BlockSource {
 public:
  ZeroPages(Bytes head, std::uint64_t body_size, Bytes tail)
      : head_{std::move(head)}, tail_{std::move(tail)}, body_size_{body_size} {}

  [[nodiscard]] std::uint64_t size() const { return body_size_ + tail_.size(); }
  void append(std::span<const std::byte> bytes) {
    tail_.insert(tail_.end(), bytes.begin(), bytes.end());
  }

  [[nodiscard]] Result<std::span<const std::byte>> read(
      std::uint64_t offset, std::span<std::byte> buffer) const override {
    std::ranges::fill(buffer, std::byte{0});
    copy(head_, 0, offset, buffer);
    copy(tail_, body_size_, offset, buffer);
    return buffer;
  }

 private:
  // The part of `from`, which lies at `at`, that is in the buffer for `offset`.
  static void copy(const Bytes& from, std::uint64_t at, std::uint64_t offset,
                   std::span<std::byte> buffer) {
    const auto begin = std::max(at, offset);
    const auto end = std::min(at + from.size(), offset + buffer.size());
    if (begin < end) {
      std::ranges::copy(std::span{from}.subspan(begin - at, end - begin),
                        buffer.subspan(begin - offset).begin());
    }
  }

  Bytes head_, tail_;
  std::uint64_t body_size_;
};

std::shared_ptr<ZeroPages> signed_zero_pages(std::uint64_t body_size) {
  auto head = sphere::test::golden_body();
  sphere::Writer size;
  size.little_endian(static_cast<std::uint32_t>(body_size));
  head = patched(std::move(head), 4, size.data());
  head = patched(std::move(head), 32, "\0\0\0\0"sv);
  const Bytes zeros(sphere::image::kReadBytes);
  sphere::image::Crc32 crc;
  crc.update(head);
  for (std::uint64_t at = head.size(); at < body_size; at += zeros.size()) {
    crc.update(std::span{zeros}.first(std::min<std::uint64_t>(zeros.size(), body_size - at)));
  }
  sphere::Writer sum;
  sum.little_endian(crc.value());
  head = patched(std::move(head), 32, sum.data());
  const auto golden = sphere::test::golden_package();
  auto source = std::make_shared<ZeroPages>(std::move(head), body_size,
                                            Bytes{golden.begin() + kBody, golden.end() - 64});
  sphere::crypto::Sha256 hash;
  REQUIRE(sphere::image::stream_bytes(*source, 0, source->size(),
                                      [&](std::span<const std::byte> bytes) -> Result<void> {
                                        hash.update(bytes);
                                        return {};
                                      }));
  const std::array<sphere::crypto::Sha256Digest, 1> digests = {hash.finish()};
  const auto signatures = sphere::test::GoldenSigner{}.sign(digests);
  REQUIRE(signatures);
  source->append(signatures->at(0));
  return source;
}

// A line of /proc/self/status in KiB.
std::size_t memory_of(const std::string& name) {
  std::ifstream status{"/proc/self/status"};
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(name + ":")) {
      return std::stoul(line.substr(name.size() + 1));
    }
  }
  return 0;
}

}  // namespace

TEST_CASE("no change of the body verifies though its CRC was set right again", "[image]") {
  const auto body = sphere::test::golden_body();
  std::size_t accepted = 0;
  std::size_t wrong_code = 0;
  const auto check = [&](std::size_t at, unsigned bit) {
    auto damaged = body;
    damaged[at] ^= static_cast<std::byte>(1U << bit);
    const auto code = refusal(with_body(with_crc(std::move(damaged))));
    accepted += code ? 0 : 1;
    wrong_code += code == Errc::corrupt || code == Errc::unsupported || code == Errc::too_large ||
                          code == Errc::unverified
                      ? 0
                      : 1;
  };
  for (std::size_t at = 0; at < 256; ++at) {  // Superblock and directories.
    for (unsigned bit = 0; bit < 8; ++bit) {
      if (at < 32 || at >= 36) {  // The CRC itself.
        check(at, bit);
      }
    }
  }
  for (std::size_t at = 256; at < kBody; at += 512) {
    check(at + at / 512 % 512, static_cast<unsigned>(at / 512 % 8));
  }
  CHECK(accepted == 0);
  CHECK(wrong_code == 0);
}

TEST_CASE("sections in another order are read but not verified", "[image]") {
  const auto golden = sphere::test::golden_package();
  const auto package = parse_package(golden);
  REQUIRE(package);
  auto sections = package->metadata.sections;
  REQUIRE(sections.size() == 5);
  std::ranges::sort(sections, {}, &Section::id);
  std::size_t orders = 0;
  std::size_t read = 0;
  std::size_t verified = 0;
  do {
    const auto bytes = with_block(sphere::image::write_sections(sections));
    ++orders;
    read += parse_package(bytes) ? 1 : 0;
    verified += refusal(bytes) == Errc::unverified ? 0 : 1;
  } while (std::ranges::next_permutation(sections, {}, &Section::id).found);
  CHECK(orders == 120);
  CHECK(read == 120);
  CHECK(verified == 1);  // The order that was signed.
}

TEST_CASE("added, doubled, missing and overlapping sections are refused", "[image]") {
  const auto golden = sphere::test::golden_package();
  const auto package = parse_package(golden);
  REQUIRE(package);
  const auto sections = package->metadata.sections;
  const auto refusal_of = [](const std::vector<Section>& changed) {
    return refusal(with_block(sphere::image::write_sections(changed)));
  };

  for (std::size_t i = 0; i < sections.size(); ++i) {
    auto doubled = sections;
    doubled.push_back(sections[i]);
    CHECK(refusal_of(doubled) == Errc::corrupt);
    auto missing = sections;
    missing.erase(missing.begin() + static_cast<std::ptrdiff_t>(i));
    CHECK(refusal_of(missing) == (i < 3 ? Errc::corrupt : Errc::unverified));
    const Bytes longer(sections[i].payload.size() + 1);
    auto oversized = sections;
    oversized[i].payload = longer;
    CHECK(refusal_of(oversized) == Errc::corrupt);
  }
  auto added = sections;
  const Bytes payload(65'000);
  added.push_back({.id = {'X', 'Y'}, .payload = payload});
  CHECK(refusal_of(added) == Errc::unverified);

  // A length that reaches over the next section, and one that reaches behind the block.
  auto block = sphere::image::write_sections(sections);
  auto overlapping = block;
  overlapping[8 + 40 + 28 + 2] = std::byte{48};  // DB: over the head and payload of TP.
  CHECK(refusal(with_block(overlapping)) == Errc::corrupt);
  auto beyond = block;
  beyond[8 + 40 + 28 + 44 + 8 + 3] = std::byte{1};  // ND: 256 more.
  CHECK(refusal(with_block(beyond)) == Errc::corrupt);
}

TEST_CASE("trees that only an attacker makes are refused, each with its reason", "[image]") {
  const auto body_of = [](std::map<std::string, sphere::image::FileSource> files) {
    return *sphere::image::write_asxipfs(files);
  };
  const auto x = sphere::test::to_bytes("x");

  SECTION("two files of one name") {
    const auto body = body_of({{"ma", {.content = x}}, {"mb", {.content = x}}});
    const auto at = 76 + 16 + 12 + 1;
    const auto refused = sphere::image::read_asxipfs(with_crc(patched(body, at, "a"sv)));
    REQUIRE_FALSE(refused);
    CHECK_THAT(refused.error().message(), Catch::Contains("not in ascending order"));
  }
  SECTION("two files on the same page") {
    const auto body = body_of({{"ma", {.content = x}}, {"mb", {.content = x}}});
    const auto at = 76 + 16 + 8;
    const auto refused = sphere::image::read_asxipfs(
        with_crc(patched(body, at, std::span{body}.subspan(76 + 8, 4))));
    REQUIRE_FALSE(refused);
    CHECK_THAT(refused.error().message(), Catch::Contains("lies in something else"));
  }
  SECTION("a directory behind all that directories may take") {
    const auto body = body_of({{"a", {.content = Bytes(2'000'000)}}, {"d/e", {}}});
    sphere::Writer where;
    where.little_endian(static_cast<std::uint32_t>((1'085'440U / 4U) << 6U | 1U));
    const auto refused =
        sphere::image::read_asxipfs(with_crc(patched(body, 76 + 16 + 8, where.data())));
    REQUIRE_FALSE(refused);
    CHECK_THAT(refused.error().message(), Catch::Contains("directory area"));
  }
  SECTION("a directory in the pages of a file") {
    auto file = Bytes(kPage);
    sphere::Writer entry;  // An empty file "e".
    entry.little_endian(std::uint16_t{0101644}).zeros(6).little_endian(std::uint32_t{1}).text("e");
    std::ranges::copy(entry.data(), file.begin());
    const auto body = body_of({{"a", {.content = file}}, {"d/e", {}}});
    sphere::Writer where;
    where.little_endian(static_cast<std::uint32_t>((kPage / 4U) << 6U | 1U));
    auto changed = patched(body, 76 + 16 + 8, where.data());
    std::fill_n(changed.begin() + 76 + 32, 16, std::byte{0});
    const auto refused = sphere::image::read_asxipfs(with_crc(std::move(changed)));
    REQUIRE_FALSE(refused);
    CHECK_THAT(refused.error().message(), Catch::Contains("used twice"));
  }
}

TEST_CASE("an entry point that is no executable file of the package is refused", "[image]") {
  const auto refused_with = [](std::string_view entry_point) {
    auto content = sphere::test::golden_content();
    auto manifest = std::string{sphere::test::kGoldenManifest};
    manifest.replace(manifest.find("/bin/app"), 8, entry_point);
    content["app_manifest.json"].content = sphere::test::to_bytes(manifest);
    const auto package =
        parse_package(sphere::test::package_of(*sphere::image::write_asxipfs(content)));
    return package ? std::string{} : package.error().message();
  };
  CHECK(refused_with("/bin/app").empty());
  CHECK(refused_with("bin/app").empty());
  CHECK(refused_with("/bin/none") == "the entry point /bin/none is no file of the package");
  CHECK(refused_with("/bin") == "the entry point /bin is no file of the package");
  CHECK(refused_with("/main.txt") == "the entry point /main.txt is not marked as executable");
  CHECK(refused_with("") == "the entry point  is no file of the package");
  CHECK(refused_with("/bin/../bin/app") ==
        "the entry point /bin/../bin/app is no file of the package");
}

TEST_CASE("a manifest that is no JSON or names no entry point is left to its own reader",
          "[image]") {
  const auto text = GENERATE(as<std::string>{}, "", "{", "[]", "{}", R"({"EntryPoint":7})");
  auto content = sphere::test::golden_content();
  content["app_manifest.json"].content = sphere::test::to_bytes(text);
  CHECK(parse_package(sphere::test::package_of(*sphere::image::write_asxipfs(content))));
}

TEST_CASE("a package of 200 MiB needs no more memory than a small one", "[image]") {
  const auto source = signed_zero_pages(std::uint64_t{200} * 1024 * 1024);
  {
    std::ofstream reset{"/proc/self/clear_refs"};
    reset << "5";
    SKIP_UNLESS(reset.flush(), "the peak of memory cannot be set back: /proc/self/clear_refs");
  }
  const auto before = memory_of("VmRSS");

  const auto package = open_package(source, source->size());
  REQUIRE(package);
  const auto verified = verify(*package, sphere::test::golden_trust());

  REQUIRE(verified);
  CHECK(memory_of("VmHWM") < before + std::size_t{8} * 1024);
}
