// SPDX-License-Identifier: MIT
#include "libsdk/src/image/sections_v2.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "libsdk/src/image/sections.h"
#include "sphere/core/encoding.h"
#include "sphere/core/result.h"
#include "sphere/core/writer.h"
#include "sphere/image/executable_check.h"
#include "sphere/image/merkle.h"
#include "sphere/image/metadata.h"
#include "tests/unit/image/golden_v2.h"

using sphere::Errc;
using sphere::image::Metadata;
using sphere::image::Section;
using sphere::test::Bytes;
using sphere::test::to_bytes;

namespace image = sphere::image;

namespace {

Bytes golden_tail() {
  auto bytes = sphere::test::golden_v2_metadata();
  bytes.resize(bytes.size() + image::kSignatureSize);
  return bytes;
}

Bytes payload_of(const Metadata& metadata, std::string_view id) {
  for (const auto& section : metadata.sections) {
    if (std::string_view{section.id.data(), 2} == id) {
      return {section.payload.begin(), section.payload.end()};
    }
  }
  return {};
}

sphere::Result<void> decode(std::string_view id, std::span<const std::byte> payload) {
  const auto* rule = image::find_rule({id[0], id[1]});
  REQUIRE(rule != nullptr);
  if (rule->fits != nullptr && !rule->fits(payload.size())) {
    return sphere::fail(Errc::corrupt, "length");
  }
  Metadata metadata;
  return rule->decode(payload, 0, metadata);
}

Bytes two_chunks() {
  return image::encode(
      image::ChunkTable{.chunk_size = 65'536,
                        .chunks = {{.stored_length = 100},
                                   {.stored_length = 65'536, .compressed = false, .digest = {}}}});
}

Bytes sbom_bytes() {
  return image::encode(image::SbomReference{.locator = "https://example.com/a.spdx.json"});
}

Bytes golden_payload(std::string_view id) {
  const auto tail = golden_tail();
  const auto metadata = image::read_metadata(tail);
  REQUIRE(metadata);
  return payload_of(*metadata, id);
}

// A valid payload of each section of package v2.
Bytes valid_payload(std::string_view id) {
  if (id == "cz") {
    return two_chunks();
  }
  if (id == "sb") {
    return sbom_bytes();
  }
  if (id == "st") {
    return Bytes(8);
  }
  return golden_payload(id);
}

Bytes little_endian(std::uint32_t value) {
  sphere::Writer writer;
  writer.little_endian(value);
  return std::move(writer).take();
}

}  // namespace

TEST_CASE("read_metadata gives every field of the golden package v2", "[image]") {
  const auto tail = golden_tail();

  const auto metadata = image::read_metadata(tail);

  REQUIRE(metadata);
  CHECK(metadata->sections.size() == 11);
  const auto& v2 = metadata->v2;
  REQUIRE(v2.content);
  CHECK(v2.content->format == image::BodyFormat::asxipfs);
  CHECK(v2.content->content_size == 24'576);
  CHECK(v2.content->body_size == 24'576);
  CHECK(v2.content->stored_size == 24'576);
  CHECK(v2.content->hash_area_size == 8192);
  REQUIRE(v2.tree);
  CHECK(v2.tree->data_blocks == 6);
  CHECK(v2.tree->tree_blocks == 1);
  CHECK(sphere::to_hex(v2.tree->salt) ==
        "18ceab34700b098a841ec6aaed1f9766bcaf7d465facab2256f0027a978526c2");
  CHECK(sphere::to_hex(v2.tree->root) ==
        "14d6193565e306b30734d76c1edc7b2857242c8fc76e6fba2513f075f9991827");
  CHECK_FALSE(v2.chunks);
  REQUIRE(v2.security);
  CHECK(v2.security->image == 7);
  REQUIRE(v2.hardware);
  CHECK(v2.hardware->machine == sphere::image::kMachineArm);
  CHECK(v2.hardware->boards == std::vector<std::string>{"mt3620-rdb"});
  REQUIRE(v2.key_id);
  CHECK(sphere::to_hex(*v2.key_id).starts_with("0a4e3fee1fe7fc1c"));
  REQUIRE(v2.provenance);
  REQUIRE(v2.provenance->size() == 4);
  CHECK(v2.provenance->at(2).key == "source");
  CHECK(v2.provenance->at(2).value == "https://example.com/golden.git");
}

TEST_CASE("the sections of the golden package v2 are encoded as they were", "[image]") {
  const auto tail = golden_tail();
  const auto metadata = image::read_metadata(tail);
  REQUIRE(metadata);
  const auto& v2 = metadata->v2;

  CHECK(image::encode(*v2.content) == payload_of(*metadata, "v2"));
  CHECK(image::encode(*v2.tree) == payload_of(*metadata, "mt"));
  CHECK(image::encode(*v2.security) == payload_of(*metadata, "sv"));
  CHECK(image::encode(*v2.hardware) == payload_of(*metadata, "hw"));
  CHECK(to_bytes(*image::write_provenance(*v2.provenance)) == payload_of(*metadata, "bp"));
}

TEST_CASE("chunk tables and SBOM references survive a round trip", "[image]") {
  Metadata metadata;

  REQUIRE(image::decode_chunks(two_chunks(), 0, metadata));
  REQUIRE(image::decode_sbom(sbom_bytes(), 0, metadata));

  CHECK(metadata.v2.chunks->chunks.at(1).stored_length == 65'536);
  CHECK_FALSE(metadata.v2.chunks->chunks.at(1).compressed);
  CHECK(image::encode(*metadata.v2.chunks) == two_chunks());
  CHECK(metadata.v2.sbom->locator == "https://example.com/a.spdx.json");
  CHECK(image::encode(*metadata.v2.sbom) == sbom_bytes());
}

TEST_CASE("each broken field of a v2 section is refused", "[image]") {
  struct Case {
    std::string_view id;
    std::size_t offset;
    std::uint32_t value;
    Errc code;
    std::string_view what;
  };
  const auto test = GENERATE(values<Case>({
      {"v2", 0, 3, Errc::unsupported, "major version"},
      {"v2", 4, 3, Errc::unsupported, "reserved body format"},
      {"v2", 4, 7, Errc::unsupported, "unknown body format"},
      {"v2", 8, 0, Errc::corrupt, "no content"},
      {"v2", 8, 24'575, Errc::corrupt, "a file system that ends early"},
      {"v2", 12, 1, Errc::too_large, "content above 1 GiB"},
      {"v2", 16, 28'672, Errc::corrupt, "body size"},
      {"v2", 16, 24'577, Errc::corrupt, "body size that is no multiple"},
      {"v2", 24, 0, Errc::corrupt, "nothing stored"},
      {"v2", 24, 24'577, Errc::corrupt, "stored size that is no multiple"},
      {"v2", 24, 28'672, Errc::corrupt, "stored size above the body size"},
      {"v2", 32, 0, Errc::corrupt, "no hash area"},
      {"v2", 32, 4097, Errc::corrupt, "hash area size"},
      {"v2", 36, 1, Errc::unsupported, "required feature"},
      {"mt", 0, 0x00010000, Errc::unsupported, "hash type"},
      {"mt", 0, 0x00020001, Errc::unsupported, "algorithm"},
      {"mt", 4, 0x00200C0D, Errc::unsupported, "data block size"},
      {"mt", 4, 0x00200D0C, Errc::unsupported, "hash block size"},
      {"mt", 4, 0x00100C0C, Errc::corrupt, "salt length"},
      {"mt", 8, 0, Errc::corrupt, "no data blocks"},
      {"mt", 8, 129, Errc::corrupt, "too few hash blocks"},
      {"mt", 12, 2, Errc::corrupt, "too many hash blocks"},
      {"cz", 0, 1, Errc::unsupported, "algorithm"},
      {"cz", 4, 32'768, Errc::unsupported, "chunk size"},
      {"cz", 8, 1, Errc::corrupt, "number of chunks"},
      {"cz", 12, 1, Errc::corrupt, "reserved field"},
      {"cz", 16, 0, Errc::corrupt, "empty chunk"},
      {"cz", 16, 65'537, Errc::corrupt, "chunk longer than the chunk size"},
      {"hw", 0, 0x00020028, Errc::corrupt, "number of boards"},
      {"hw", 4, 0x65626F2D, Errc::corrupt, "board id"},
      {"hw", 32, 1, Errc::corrupt, "bytes after a board id"},
      {"sb", 0, 3, Errc::unsupported, "format"},
      {"sb", 0, 0x00020001, Errc::unsupported, "place"},
      {"sb", 4, 30, Errc::corrupt, "locator length"},
      {"sb", 4, 0x0001001F, Errc::corrupt, "reserved field"},
      {"sb", 40, 0x70740A68, Errc::corrupt, "line feed in the locator"},
      {"bp", 0, 0x6F70453D, Errc::corrupt, "key"},
  }));
  INFO(test.id << ": " << test.what);
  const auto payload = valid_payload(test.id);
  REQUIRE(decode(test.id, payload));

  const auto value = little_endian(test.value);
  const auto result =
      decode(test.id, sphere::test::patched(payload, test.offset, std::span{value}));

  REQUIRE_FALSE(result);
  CHECK(result.error().code() == test.code);
  CHECK_FALSE(result.error().hint().reason.empty());
}

TEST_CASE("a higher minor version is accepted", "[image]") {
  auto payload = golden_payload("v2");
  payload[2] = std::byte{9};
  CHECK(decode("v2", payload));
}

TEST_CASE("v2 sections of a wrong length are refused", "[image]") {
  for (const std::string_view id : {"v2", "mt", "cz", "sv", "hw", "ki", "sb", "st"}) {
    INFO(id);
    auto payload = valid_payload(id);
    const auto shorter = std::span{payload}.first(payload.size() - 1);
    CHECK_FALSE(decode(id, shorter));
    payload.push_back(std::byte{0});
    CHECK_FALSE(decode(id, payload));
  }
}

TEST_CASE("board ids are sorted, each once", "[image]") {
  const auto boards = [](std::string_view first, std::string_view second) {
    return image::encode(
        image::TargetHardware{.machine = 62, .boards = {std::string{first}, std::string{second}}});
  };
  CHECK(decode("hw", boards("a", "b")));
  CHECK_FALSE(decode("hw", boards("b", "a")));
  CHECK_FALSE(decode("hw", boards("a", "a")));
}

TEST_CASE("board ids are of lower-case letters, digits and three more characters", "[image]") {
  for (const auto* good : {"a", "0", "mt3620-rdb", "a.b_c-d", "a234567890123456789012345678901"}) {
    CHECK(image::is_board_id(good));
  }
  for (const auto* bad : {"", "-a", "A", "a b", "a/b", "a2345678901234567890123456789012"}) {
    CHECK_FALSE(image::is_board_id(bad));
  }
}

TEST_CASE("provenance is read line by line and anything else refused", "[image]") {
  CHECK(image::read_provenance(to_bytes("a=1\nb=\nc.d-e_f=x=y\n")));
  for (const std::string_view bad : {"", "a=1", "=1\n", "a\n", "\n", "A=1\n", "b=1\na=1\n",
                                     "a=1\na=2\n", "a=\t\n", "a=\xFF\n", "a=1\n\n"}) {
    INFO(bad);
    const auto result = image::read_provenance(to_bytes(bad));
    REQUIRE_FALSE(result);
    CHECK(result.error().code() == Errc::corrupt);
  }
  CHECK_FALSE(image::read_provenance(to_bytes("a=" + std::string(4094, 'x') + "\n")));
}

TEST_CASE("write_provenance sorts its lines and refuses what cannot be read", "[image]") {
  CHECK(*image::write_provenance({{.key = "tool", .value = "t/1"},
                                  {.key = "epoch", .value = "1"}}) == "epoch=1\ntool=t/1\n");
  CHECK_FALSE(image::write_provenance({{.key = "Key", .value = ""}}));
  CHECK_FALSE(image::write_provenance({{.key = "key", .value = "a\nb"}}));
  CHECK_FALSE(image::write_provenance({{.key = "key", .value = ""}, {.key = "key", .value = ""}}));
  const auto huge = image::write_provenance({{.key = "k", .value = std::string(4096, 'x')}});
  REQUIRE_FALSE(huge);
  CHECK(huge.error().code() == Errc::too_large);
}

TEST_CASE("every section of package v2 is described", "[image]") {
  for (const std::string_view id : {"v2", "mt", "cz", "sv", "hw", "ki", "bp", "sb", "st"}) {
    INFO(id);
    const auto payload = valid_payload(id);
    CHECK_FALSE(image::section_name({id[0], id[1]}).empty());
    CHECK_FALSE(image::describe_section({.id = {id[0], id[1]}, .payload = payload}).empty());
  }
  const auto damaged = sphere::test::patched(valid_payload("mt"), 0, "xx");
  CHECK(image::describe_section({.id = {'m', 't'}, .payload = damaged}).empty());
}
