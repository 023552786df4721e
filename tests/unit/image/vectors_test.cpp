// SPDX-License-Identifier: MIT
// Packages that other tools made; what is expected of them is public.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "sphere/core/encoding.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/crypto/digest.h"
#include "sphere/image/metadata.h"
#include "sphere/image/pack.h"
#include "sphere/image/package.h"
#include "sphere/image/trust.h"
#include "tests/support/skip.h"
#include "tests/unit/image/golden.h"

namespace fs = std::filesystem;
using sphere::Errc;
using sphere::to_hex;
using sphere::image::parse_package;
using sphere::test::Bytes;

namespace {

// The vector with this SHA-256, wherever it lies in the folder.
std::optional<Bytes> find_vector(std::string_view sha256) {
  std::error_code error;
  for (fs::directory_iterator entry{SPHERE_VECTORS_DIR, error}, end; !error && entry != end;
       entry.increment(error)) {
    auto bytes = sphere::read_file(entry->path(), 1U << 20U);
    if (bytes && to_hex(sphere::crypto::sha256(*bytes)) == sha256) {
      return *std::move(bytes);
    }
  }
  return std::nullopt;
}

struct FileFact {
  std::string path;
  bool executable;
  std::size_t size;
  std::size_t offset;
  std::string sha256;  // First 16 digits.
};

struct Vector {
  std::string name;
  std::string sha256;
  std::string signed_sha256;
  std::string component, image, debug_name;
  std::uint64_t built;
  std::optional<std::uint32_t> api_set;
  std::uint32_t crc, inodes;
  std::vector<FileFact> files;
};

std::vector<Vector> applications() {
  return {
      {"hl-blink",
       "4b4217a3eec5f9389e4410a6d97fd38fca0f5496850bb1594ce245461bd8784d",
       "0fcd5b854034ad60ded78c70fce2338638b389b775ad688bf94a62f7349fabd7",
       "2f074b0f-d99d-4692-82d9-ef93a7d6463c",
       "6415a939-c098-48cf-8e5c-02b52a9f0ffb",
       "AzureSphereBlinkTest",
       1'654'786'668,
       12,
       0x1D0BA4E8,
       4,
       {{"app_manifest.json", false, 267, 0x1000, "32dace9f7aaf2d4b"},
        {"bin/app", true, 5592, 0x2000, "8865eb6d61c38621"}}},
      {"hl-pair",
       "a34077937cc7e873e4b4ec03680c45f38f4ba13e69d4460fe35c701a9ce42261",
       "d8627dcd068f12fa3f929daa2301f5af1300e72b02508f5fce8a7b14975d6f51",
       "b8f5931e-173a-40f5-a4f8-3d98240f53ec",
       "851873cf-f7c3-4df0-85a0-fe5a4f0a839e",
       "avnet_PHT_HLApp-V1",
       1'656'082'149,
       12,
       0xD38C4B13,
       4,
       {{"app_manifest.json", false, 526, 0x1000, "2d2cca4143ba6fc8"},
        {"bin/app", true, 35'020, 0x2000, "9aadcf335df4112b"}}},
      {"rt-threadx",
       "fd2c290a3bbe2dd9d21a91823fcc6c3d63be72881497bd37ef1805253d501823",
       "21feada0a29b9359ae066468c1b5db11ce25d3621d06c47445f60674b5e5b6b4",
       "b2cec904-1c60-411b-8f62-5ffe9684b8ce",
       "8ada8b43-97cf-453f-af0f-52d12f7900d4",
       "Avnet-Als-PT19-RTAppV2",
       1'632'575'584,
       std::nullopt,
       0x5C2DF112,
       4,
       {{"app_manifest.json", false, 395, 0x1000, "66876c4ce8a8bb2f"},
        {"bin/app", true, 118'828, 0x2000, "a0c8306bffbac2b9"}}},
  };
}

sphere::image::TrustStore test_key_trust() {
  sphere::image::TrustStore trust;
  trust.add({.key = sphere::image::public_test_key(),
             .thumbprints = {sphere::image::public_test_thumbprint()},
             .label = "public SDK test key"});
  return trust;
}

}  // namespace

TEST_CASE("development packages of the original tools are read and verified", "[image]") {
  const auto vector = GENERATE(from_range(applications()));
  INFO(vector.name);
  const auto bytes = find_vector(vector.sha256);
  SKIP_UNLESS(bytes, "no vector " + vector.name);

  const auto package = parse_package(*bytes);

  REQUIRE(package);
  const auto& metadata = package->metadata;
  CHECK(metadata.identity.component_id.text() == vector.component);
  CHECK(metadata.identity.image_id.text() == vector.image);
  CHECK(metadata.debug.name == vector.debug_name);
  CHECK(metadata.debug.build_time == vector.built);
  CHECK(metadata.temporary == 2);
  REQUIRE(metadata.depends);
  CHECK(metadata.depends->size() == (vector.api_set ? 1 : 0));
  CHECK(package->files.crc == vector.crc);
  CHECK(package->files.inode_count == vector.inodes);
  REQUIRE(package->files.files.size() == vector.files.size());
  for (std::size_t i = 0; i < vector.files.size(); ++i) {
    const auto& file = package->files.files[i];
    const auto& fact = vector.files[i];
    CHECK(file.path == fact.path);
    CHECK(file.executable == fact.executable);
    CHECK(file.size == fact.size);
    CHECK(file.offset == fact.offset);
    CHECK(to_hex(sphere::crypto::sha256(sphere::test::content_of(package->files, file)))
              .substr(0, 16) == fact.sha256);
  }
  CHECK(to_hex(sphere::image::check_body(*package)->signed_bytes) == vector.signed_sha256);
  CHECK(sphere::image::verify(*package, test_key_trust()));
  CHECK_FALSE(sphere::image::verify(*package, sphere::test::golden_trust()));
}

TEST_CASE("development packages of the original tools are rebuilt byte for byte", "[image]") {
  const auto vector = GENERATE(from_range(applications()));
  INFO(vector.name);
  const auto bytes = find_vector(vector.sha256);
  SKIP_UNLESS(bytes, "no vector " + vector.name);
  const auto package = parse_package(*bytes);
  REQUIRE(package);
  const auto directory = sphere::TemporaryDirectory::create();
  REQUIRE(directory);
  const auto root = directory->path() / "app";
  REQUIRE(sphere::image::unpack(*package, root));
  const auto manifest = sphere::read_text_file(root / "app_manifest.json", 65'536);
  REQUIRE(manifest);

  // The golden signer's thumbprint is replaced by the original one before comparing.
  auto packed =
      sphere::image::pack_application({.directory = root,
                                       .manifest_text = *manifest,
                                       .executables = {"/bin/app"},
                                       .name = vector.debug_name,
                                       .component_id = *sphere::Guid::parse(vector.component),
                                       .image_id = sphere::Guid::parse(vector.image),
                                       .build_time = vector.built,
                                       .api_set = vector.api_set},
                                      sphere::test::GoldenSigner{});

  REQUIRE(packed);
  const auto thumbprint_at = package->metadata.body_size + 8 + 40 + 4;
  packed->bytes = sphere::test::patched(std::move(packed->bytes), thumbprint_at,
                                        std::span{sphere::image::public_test_thumbprint()});
  CHECK(std::equal(packed->bytes.begin(), packed->bytes.end() - 64, bytes->begin(),
                   bytes->end() - 64));
}

TEST_CASE("the metadata of other kinds of package is read and names their kind", "[image]") {
  struct Case {
    std::string name;
    std::string sha256;
    std::uint16_t type;
    bool compressed;
    std::string debug_name;
    std::string kind;
  };
  const auto test = GENERATE(values<Case>({
      {"hl-pair production", "028888c63d6f067322efaef688bcb7e60b6ada23c04ee8502088f49c17eb126e", 10,
       true, "avnet_PHT_HLApp-V1", "production package"},
      {"board-config", "6f96329156fc6151aa0a6ace3e99bfb5145750d0d5d620ebe585be25cb172528", 21,
       false, "lan-enc28j60-isu0-int5_67b807", "board configuration"},
      {"device-capability", "982172c61834da4c909670edca48b7021c3098be8a78cce1b7976d8636fb88f4", 13,
       false, "fw_config", "capability"},
  }));
  INFO(test.name);
  const auto bytes = find_vector(test.sha256);
  SKIP_UNLESS(bytes, "no vector " + test.name);

  const auto metadata = sphere::image::read_metadata(*bytes);
  REQUIRE(metadata);
  CHECK(metadata->identity.image_type == test.type);
  CHECK(metadata->compressed == test.compressed);
  CHECK(metadata->debug.name == test.debug_name);
  const auto block = sphere::image::write_sections(metadata->sections);
  CHECK(std::ranges::equal(block, std::span{*bytes}.subspan(metadata->body_size, block.size())));

  const auto package = parse_package(*bytes);
  REQUIRE(package);
  CHECK(sphere::image::kind_text(package->metadata) == test.kind);
}
