// SPDX-License-Identifier: MIT
#include "sphere/image/package_diff.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "sphere/image/asxipfs.h"
#include "sphere/image/metadata.h"
#include "sphere/image/package.h"
#include "sphere/image/verify_v2.h"
#include "tests/unit/image/golden.h"
#include "tests/unit/image/golden_v2.h"

using sphere::image::Change;
using sphere::image::Difference;
using sphere::image::parse_package;
using sphere::image::Section;
using sphere::test::Bytes;

namespace {

constexpr std::size_t kBody = 24'576;  // Of the golden package.

// "file /main.txt content @0 20480 20480": one line for each difference.
std::vector<std::string> diff(const Bytes& before, const Bytes& after) {
  const auto first = sphere::image::open_package(
      std::make_shared<sphere::image::MemoryBlocks>(before), before.size());
  const auto second = sphere::image::open_package(
      std::make_shared<sphere::image::MemoryBlocks>(after), after.size());
  REQUIRE(first);
  REQUIRE(second);
  const auto found = sphere::image::diff_packages(*first, *second);
  REQUIRE(found);
  std::vector<std::string> lines;
  for (const auto& difference : found->differences) {
    constexpr std::array<std::string_view, 3> kParts = {"metadata", "file", "body"};
    constexpr std::array<std::string_view, 3> kChanges = {"", " added", " removed"};
    auto line = fmt::format("{}{} {} {}", kParts.at(static_cast<std::size_t>(difference.part)),
                            kChanges.at(static_cast<std::size_t>(difference.change)),
                            difference.name, difference.field);
    if (!difference.before.empty() || !difference.after.empty()) {
      line += fmt::format(" [{}|{}]", difference.before, difference.after);
    }
    if (difference.first) {
      line += fmt::format(" @{} {} {}", difference.first->offset, difference.first->before,
                          difference.first->after);
    }
    lines.push_back(std::move(line));
  }
  return lines;
}

// The golden package with other sections.
Bytes with_sections(std::span<const Section> sections) {
  auto bytes = sphere::test::golden_body();
  const auto block = sphere::image::write_sections(sections);
  bytes.insert(bytes.end(), block.begin(), block.end());
  bytes.resize(bytes.size() + 64);
  return bytes;
}

}  // namespace

TEST_CASE("two packages of one input differ in their signatures only", "[image]") {
  const auto before = sphere::test::golden_package();
  const auto after = sphere::test::golden_package();
  CHECK(diff(before, after).empty());

  const auto first = parse_package(before);
  const auto second = parse_package(after);
  REQUIRE(first);
  REQUIRE(second);
  CHECK_FALSE(sphere::image::diff_packages(*first, *second)->same_signature);
  CHECK(sphere::image::diff_packages(*first, *first)->same_signature);
}

TEST_CASE("changed, added and removed files are named with their places", "[image]") {
  const auto before = sphere::test::golden_package();
  auto content = sphere::test::golden_content();
  content["main.txt"].content = sphere::test::to_bytes("AB");
  content["certs/ca/root.pem"].content[4095] ^= std::byte{1};
  content["certs/empty.txt"].executable = true;
  content.erase("bin/app");
  content["bin/apply"] = {.content = sphere::test::pattern(3, 0), .executable = true};
  content["zoo/z"] = {};
  const auto after = sphere::test::package_of(*sphere::image::write_asxipfs(content));

  // bin/app must be there for the golden manifest, so the manifest names the other program.
  auto manifest = std::string{sphere::test::kGoldenManifest};
  manifest.replace(manifest.find("/bin/app"), 8, "/bin/apply");
  content["app_manifest.json"].content = sphere::test::to_bytes(manifest);
  const auto good = sphere::test::package_of(*sphere::image::write_asxipfs(content));
  CHECK_FALSE(parse_package(after));

  const auto at = manifest.find("apply") + 3;
  CHECK(diff(before, good) ==
        std::vector<std::string>{
            "file added /zoo/ directory",
            fmt::format("file /app_manifest.json size [218|{}]", manifest.size()),
            fmt::format("file /app_manifest.json content @{0} {1} {1}", at, 4096 + at),
            "file removed /bin/app size [5000|]",
            "file added /bin/apply size [|3]",
            "file /certs/ca/root.pem content @4095 20479 16383",
            "file /certs/empty.txt mode [0644|0755]",
            "file /main.txt size [1|2]",
            "file /main.txt content @1 20481 16385",
            "file added /zoo/z size [|0]",
            "body  size [24576|20480]",
            "body  content @5 5 5",
        });
}

TEST_CASE("metadata is compared down to the field", "[image]") {
  const auto before = sphere::test::golden_package();
  const auto name = kBody + 8 + 40 + 28 + 4 + 8;
  const auto after = sphere::test::patched(before, name, std::string_view{"silver"});
  CHECK(diff(before, after) == std::vector<std::string>{"metadata DB name [golden|silver]"});
}

TEST_CASE("sections that only one package has, or unknown ones, are compared", "[image]") {
  const auto golden = sphere::test::golden_package();
  const auto package = parse_package(golden);
  REQUIRE(package);
  auto sections = package->metadata.sections;
  const auto value = sphere::test::to_bytes("value");
  const auto other = sphere::test::to_bytes("valve");
  sections.push_back({.id = {'X', '\n'}, .payload = value});
  const auto before = with_sections(sections);
  CHECK(diff(golden, before) ==
        std::vector<std::string>{"metadata added X\\x0a bytes [|76616c7565]"});

  sections.back().payload = other;
  CHECK(diff(before, with_sections(sections)) ==
        std::vector<std::string>{"metadata X\\x0a bytes [76616c7565|76616c7665] @3 24727 24727"});

  std::swap(sections[0], sections[1]);
  sections.pop_back();
  std::erase_if(sections, [](const Section& section) { return section.id[0] == 'T'; });
  CHECK(diff(golden, with_sections(sections)) ==
        std::vector<std::string>{"metadata removed TP removeAtBoot [no|]",
                                 "metadata removed TP underDevelopment [yes|]",
                                 "metadata  order [ID SG DB ND|SG ID DB ND]"});
}

TEST_CASE("bodies without files are compared as bytes", "[image]") {
  const auto package = [](std::string_view body) {
    auto bytes = sphere::test::to_bytes(body);
    const auto block = sphere::image::write_metadata(
        {.image_type = 8, .component_id = *sphere::Guid::parse(sphere::test::kGoldenComponent)},
        {.signing_type = 1}, {}, {}, {});
    bytes.insert(bytes.end(), block.begin(), block.end());
    bytes.resize(bytes.size() + 64);
    return bytes;
  };
  CHECK(diff(package("kernel"), package("kernxl")) ==
        std::vector<std::string>{"body  content @4 4 4"});
  CHECK(diff(package("kernel"), package("kern")) ==
        std::vector<std::string>{"body  size [6|4]", "body  content @4 4 4"});
}

TEST_CASE("a package v2 is compared without its tree, and refused where it is damaged", "[image]") {
  const auto before = sphere::test::golden_package_v2();
  const auto again = sphere::test::golden_package_v2();
  CHECK(diff(before, again).empty());

  auto damaged = before;
  damaged[20'480] ^= std::byte{1};  // /main.txt
  const auto first = sphere::image::open_package(
      std::make_shared<sphere::image::MemoryBlocks>(before), before.size());
  const auto second = sphere::image::open_package(
      std::make_shared<sphere::image::MemoryBlocks>(damaged), damaged.size());
  REQUIRE(first);
  REQUIRE(second);
  const auto refused = sphere::image::diff_packages(*first, *second);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code() == sphere::Errc::unverified);
}

TEST_CASE("the digests of a package v2 are of its file, whether its files are open or not",
          "[image]") {
  const auto bytes = sphere::test::golden_package_v2();
  auto package = sphere::image::open_package(std::make_shared<sphere::image::MemoryBlocks>(bytes),
                                             bytes.size());
  REQUIRE(package);
  const auto digest = sphere::crypto::sha256(bytes);
  CHECK(sphere::image::check_body(*package)->file == digest);
  REQUIRE(sphere::image::open_files(*package));
  CHECK(sphere::image::check_body(*package)->file == digest);
}
