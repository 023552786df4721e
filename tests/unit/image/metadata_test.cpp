// SPDX-License-Identifier: MIT
#include "sphere/image/metadata.h"

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
#include "sphere/core/writer.h"
#include "tests/unit/image/golden.h"

using sphere::Errc;
using sphere::image::read_metadata;
using sphere::image::Section;
using sphere::test::Bytes;
using sphere::test::patched;
using sphere::test::to_bytes;

namespace {

constexpr std::size_t kBody = 24'576;  // Of the golden package.
constexpr std::size_t kBlock = 148;
constexpr std::size_t kId = kBody + 8;  // Offset of each section's head.
constexpr std::size_t kSg = kId + 4 + 36;
constexpr std::size_t kDb = kSg + 4 + 24;
constexpr std::size_t kTp = kDb + 4 + 40;
constexpr std::size_t kNd = kTp + 4 + 4;

// A file of no body, the given sections and an empty signature.
Bytes file_of(std::span<const Section> sections) {
  auto bytes = sphere::image::write_sections(sections);
  bytes.resize(bytes.size() + sphere::image::kSignatureSize);
  return bytes;
}

std::vector<Section> golden_sections(const Bytes& package) {
  const auto metadata = read_metadata(package);
  REQUIRE(metadata);
  return metadata->sections;
}

}  // namespace

TEST_CASE("read_metadata gives every field of the golden package", "[image]") {
  const auto package = sphere::test::golden_package();

  const auto metadata = read_metadata(package);

  REQUIRE(metadata);
  CHECK(metadata->identity.image_type == sphere::image::kApplication);
  CHECK(metadata->identity.component_id.text() == sphere::test::kGoldenComponent);
  CHECK(metadata->identity.image_id.text() == "dbb0d1a4-8149-859c-a92c-b193c566ab20");
  CHECK(sphere::to_hex(metadata->signature_info.thumbprint) ==
        "00112233445566778899aabbccddeeff00112233");
  CHECK(metadata->signature_info.signing_type == 1);
  CHECK(metadata->debug.build_time == sphere::test::kGoldenTime);
  CHECK(metadata->debug.name == "golden");
  CHECK(metadata->temporary == 2);
  REQUIRE(metadata->depends);
  REQUIRE(metadata->depends->size() == 1);
  CHECK(metadata->depends->at(0).version == 12);
  CHECK(metadata->depends->at(0).identity_type == 3);
  CHECK_FALSE(metadata->compressed);
  CHECK(metadata->body_size == kBody);
  CHECK(metadata->signature.size() == 64);
  CHECK(metadata->sections.size() == 5);
}

TEST_CASE("the block of a high-level and of a real-time app has the size of the format",
          "[image]") {
  const auto package = sphere::test::golden_package();
  auto sections = golden_sections(package);
  CHECK(sphere::image::write_sections(sections).size() == kBlock);

  const auto real_time = sphere::image::write_metadata({}, {}, {}, 2, {{}});
  CHECK(real_time.size() == 140);
  const auto production = sphere::image::write_metadata({}, {}, {}, std::nullopt, std::nullopt);
  CHECK(production.size() == 124);
}

TEST_CASE("the name in DB is cut to 31 bytes between characters and at a NUL", "[image]") {
  struct Case {
    std::string name;
    std::string stored;
  };
  const auto test = GENERATE(values<Case>({
      {std::string(40, 'x'), std::string(31, 'x')},
      {std::string(30, 'x') + "\xC3\xA4", std::string(30, 'x')},
      {std::string("a\0b", 3), "a"},
  }));
  auto file = sphere::image::write_metadata(
      {.image_type = 10, .component_id = *sphere::Guid::parse(sphere::test::kGoldenComponent)},
      {.signing_type = 1}, {.name = test.name}, std::nullopt, std::nullopt);
  file.resize(file.size() + 64);

  const auto metadata = read_metadata(file);

  REQUIRE(metadata);
  CHECK(metadata->debug.name == test.stored);
}

TEST_CASE("unknown sections survive reading and writing byte for byte, in any order", "[image]") {
  const auto package = sphere::test::golden_package();
  auto sections = golden_sections(package);
  const auto payload = to_bytes("what is this");
  sections.insert(sections.begin() + 1, Section{.id = {'x', '\x01'}, .payload = payload});
  std::ranges::reverse(sections);
  const auto file = file_of(sections);

  const auto metadata = read_metadata(file);

  REQUIRE(metadata);
  CHECK(metadata->debug.name == "golden");
  CHECK(file_of(metadata->sections) == file);
  CHECK(sphere::image::section_name({'x', '\x01'}).empty());
  CHECK(sphere::image::describe_section(metadata->sections[4]).empty());
}

TEST_CASE("read_metadata names what is wrong", "[image]") {
  using namespace std::string_view_literals;
  struct Case {
    std::string name;
    std::size_t offset;
    std::string_view patch;
    Errc code;
    std::string_view message;
  };
  const auto test = GENERATE(values<Case>({
      {"magic", kBody, "4X4N"sv, Errc::corrupt, "metadata at offset 24576"},
      {"no sections", kBody + 4, "\0"sv, Errc::corrupt, "no sections"},
      {"65 sections", kBody + 4, "\x41"sv, Errc::too_large, "65 sections"},
      {"one section less", kBody + 4, "\x04"sv, Errc::corrupt, "bytes after the last section"},
      {"one section more", kBody + 4, "\x06"sv, Errc::corrupt, "beyond the block"},
      {"length 0", kTp + 2, "\0"sv, Errc::corrupt, "section TP at offset 24696: its length is 0"},
      {"too long", kNd + 2, "\xFF\xFF"sv, Errc::corrupt, "section ND"},
      {"wrong length of ID", kId + 2, "\x20"sv, Errc::corrupt, "section ID"},
      {"wrong length of ND", kNd + 2, "\x0B"sv, Errc::corrupt, "section ND"},
      {"twice", kTp, "DB"sv, Errc::corrupt, "section DB"},
      {"no ID", kId, "xx"sv, Errc::corrupt, "no section ID"},
      {"no SG", kSg, "xx"sv, Errc::corrupt, "no section SG"},
      {"no DB", kDb, "xx"sv, Errc::corrupt, "no section DB"},
      {"reserved in ID", kId + 6, "\x01"sv, Errc::corrupt, "reserved"},
      {"component 0", kId + 8, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"sv, Errc::corrupt, "component id"},
      {"signing type", kSg + 24, "\x02"sv, Errc::unsupported, "signing type 0x2"},
      {"name without end", kDb + 12, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"sv, Errc::corrupt, "NUL"},
      {"after the name", kDb + 43, "x"sv, Errc::corrupt, "after the end of the name"},
      {"TP bit", kTp + 4, "\x06"sv, Errc::unsupported, "bits 0x6"},
      {"count in ND", kNd + 4, "\x02"sv, Errc::corrupt, "number of entries"},
      {"block length 11", kBody + 144, "\x0B\0"sv, Errc::corrupt, "metadata length"},
      {"block length beyond", kBody + 144, "\xFF\xFF\xFF"sv, Errc::corrupt, "metadata length"},
      {"block length -1", kBody + 144, "\x93"sv, Errc::corrupt, "metadata at offset"},
  }));
  INFO(test.name);
  const auto package = patched(sphere::test::golden_package(), test.offset, test.patch);

  const auto metadata = read_metadata(package);

  REQUIRE_FALSE(metadata);
  CHECK(metadata.error().code() == test.code);
  CHECK_THAT(metadata.error().message(), Catch::Contains(std::string{test.message}));
}

TEST_CASE("a compression section makes a production package, an unknown type is refused",
          "[image]") {
  const auto package = sphere::test::golden_package();
  auto sections = golden_sections(package);
  sphere::Writer compression;
  compression.little_endian(std::uint32_t{45'260}).little_endian(std::uint32_t{1});
  sections.push_back({.id = {'C', 'M'}, .payload = compression.data()});

  const auto file = file_of(sections);
  const auto metadata = read_metadata(file);
  REQUIRE(metadata);
  CHECK(metadata->compressed);
  CHECK(metadata->uncompressed_size == 45'260);

  sphere::Writer unknown;
  unknown.little_endian(std::uint32_t{1}).little_endian(std::uint32_t{2});
  sections.back().payload = unknown.data();
  CHECK(read_metadata(file_of(sections)).error().code() == Errc::unsupported);
}

TEST_CASE("a metadata block above the limit of its format is refused", "[image]") {
  const auto package = sphere::test::golden_package();
  auto sections = golden_sections(package);
  const Bytes filler(65'400, std::byte{1});
  sections.push_back({.id = {'x', 'x'}, .payload = filler});
  CHECK(read_metadata(file_of(sections)).error().code() == Errc::too_large);

  auto v2 = file_of(sections);
  v2 = patched(std::move(v2), 8 + 40 + 4 + 20, std::string_view{"\x02\0\0\x80", 4});
  CHECK(read_metadata(v2));
  sections.push_back({.id = {'x', 'y'}, .payload = filler});
  sections.push_back({.id = {'x', 'z'}, .payload = filler});
  CHECK(read_metadata(file_of(sections)).error().code() == Errc::too_large);
}

TEST_CASE("read_metadata refuses a valid package truncated anywhere", "[image]") {
  const auto package = sphere::test::golden_package();
  std::size_t accepted = 0;
  for (std::size_t size = 0; size < package.size(); ++size) {
    accepted += read_metadata(std::span{package}.first(size)).has_value() ? 1 : 0;
  }
  CHECK(accepted == 0);
}

TEST_CASE("describe_section tells what a section holds", "[image]") {
  const auto package = sphere::test::golden_package();
  const auto sections = golden_sections(package);

  std::string text;
  for (const auto& section : sections) {
    text += std::string{sphere::image::section_name(section.id)} + "\n";
    for (const auto& field : sphere::image::describe_section(section)) {
      text += "  " + field.key + " " + field.label + ": " + field.text + "\n";
    }
  }

  CHECK(text ==
        "Identity\n"
        "  imageType Image type: Application (10)\n"
        "  componentId Component ID: 3c1f0f5e-6a0b-4b8e-9d53-0a4c7b1f2d60\n"
        "  imageId Image ID: dbb0d1a4-8149-859c-a92c-b193c566ab20\n"
        "Signature\n"
        "  signingType Type: ECDSA P-256, SHA-256 (1)\n"
        "  certificate Certificate: 00112233445566778899aabbccddeeff00112233\n"
        "Debug\n"
        "  name Name: golden\n"
        "  builtUtc Built: 2025-01-01T00:00:00Z\n"
        "Temporary image\n"
        "  removeAtBoot Remove at boot: no\n"
        "  underDevelopment Development: yes\n"
        "ABI depends\n"
        "  dependsOn Depends on: Application runtime, version 12\n");
}

TEST_CASE("image types have names, unknown numbers have none", "[image]") {
  CHECK(sphere::image::image_type_name(10) == "Application");
  CHECK(sphere::image::image_type_name(28) == "Other");
  CHECK(sphere::image::image_type_name(11).empty());
  CHECK(sphere::image::image_type_name(29).empty());
}
