// SPDX-License-Identifier: MIT
#include "sphere/recovery/manifest_v4.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "sphere/core/file.h"
#include "sphere/recovery/file_set.h"
#include "sphere/recovery/preflight_v3.h"
#include "sphere/recovery/v3_messages.h"
#include "tests/support/recovery_set_v3.h"

namespace sphere::recovery {
namespace {

using Bytes = std::vector<std::byte>;

ManifestV4 example() {
  ManifestV4 manifest{
      .build_date = 1588000000, .board_id = "sphere-virtual", .security_version = 7};
  for (std::size_t i = 0; i < 2; ++i) {
    manifest.entries.push_back({.image_id = Guid::random(),
                                .component_id = Guid::random(),
                                .image_type = 8,
                                .partition_type = 1,
                                .required = i == 0,
                                .file_size = 1000 + i,
                                .flash_offset = i == 0 ? kPlacedByLoader : 0x20000,
                                .sha256 = crypto::sha256({}),
                                .file_name = "image-" + std::to_string(i) + ".bin"});
  }
  return manifest;
}

Bytes changed(std::size_t at, std::uint8_t value) {
  Bytes body = write_manifest_v4(example());
  body.at(at) = std::byte{value};
  return body;
}

TEST_CASE("a recovery manifest v4 is read back as it was written") {
  const ManifestV4 manifest = example();
  const auto body = write_manifest_v4(manifest);
  CHECK(body.size() == 64 + 2 * 160);
  CHECK(std::to_integer<int>(body[0]) == 4);
  CHECK(std::to_integer<int>(body[64 + 96]) == 'i');

  const auto read = parse_manifest_v4(body);
  REQUIRE(read);
  CHECK(read->build_date == manifest.build_date);
  CHECK(read->board_id == "sphere-virtual");
  CHECK(read->security_version == 7);
  CHECK(read->total_size() == 2001);
  REQUIRE(read->entries.size() == 2);
  CHECK(read->entries[1].image_id == manifest.entries[1].image_id);
  CHECK(read->entries[1].flash_offset == 0x20000);
  CHECK_FALSE(read->entries[1].required);
  CHECK(read->entries[0].sha256 == manifest.entries[0].sha256);
  CHECK(read->entries[1].file_name == "image-1.bin");
  CHECK(write_manifest_v4(*read) == body);
}

TEST_CASE("recovery manifests that break a rule are refused") {
  const auto refused = [](const Bytes& body) { return parse_manifest_v4(body).error().code(); };
  CHECK(refused(changed(0, 3)) == Errc::unsupported);
  CHECK(refused(changed(2, 0)) == Errc::too_large);
  CHECK(refused(changed(2, 65)) == Errc::too_large);
  CHECK(refused(changed(2, 3)) == Errc::corrupt);     // More images than are there.
  CHECK(refused(changed(4, 0x41)) == Errc::corrupt);  // Size of the head.
  CHECK(refused(changed(6, 0xA1)) == Errc::corrupt);
  CHECK(refused(changed(16, 0)) == Errc::corrupt);  // Text behind a NUL.
  CHECK(refused(changed(16, ' ')) == Errc::corrupt);
  CHECK(refused(changed(52, 1)) == Errc::corrupt);  // Flags of the head.
  CHECK(refused(changed(56, 1)) == Errc::corrupt);  // Sum.
  CHECK(refused(changed(64 + 36, 2)) == Errc::corrupt);
  CHECK(refused(changed(64 + 44, 1)) == Errc::too_large);
  CHECK(refused(changed(64 + 56, 1)) == Errc::corrupt);
  CHECK(refused(changed(64 + 96, '/')) == Errc::corrupt);
  CHECK(refused(changed(64 + 96, '.')) == Errc::corrupt);
  CHECK(refused(changed(64 + 96 + 63, 'x')) == Errc::corrupt);
  CHECK(refused(changed(64 + 96 + 6, '1')) == Errc::corrupt);  // The name of the other image.
  Bytes body = write_manifest_v4(example());
  for (std::size_t size = 0; size < body.size(); ++size) {
    CHECK(refused({body.begin(), body.begin() + static_cast<std::ptrdiff_t>(size)}) ==
          Errc::corrupt);
  }
  body.push_back(std::byte{0});
  CHECK(refused(body) == Errc::corrupt);
}

class SetOnDisk {
 public:
  explicit SetOnDisk(const test::RecoverySetV3& set) {
    for (const auto& [name, bytes] : set.files()) {
      write(name, bytes);
    }
  }
  void write(const std::string& name, std::span<const std::byte> bytes) const {
    REQUIRE(write_file(path() / name, bytes, {.mode = 0644}));
  }
  void remove(const std::string& name) const { std::filesystem::remove(path() / name); }
  [[nodiscard]] Result<CheckedSetV3> check(const image::TrustStore& trust,
                                           const std::string& board = {}) const {
    const auto files = FileSet::open(path()).value();
    return check_set_v3(files, [&](std::uint16_t /*type*/) { return trust; }, board);
  }
  [[nodiscard]] std::filesystem::path path() const { return directory_.path(); }

 private:
  TemporaryDirectory directory_ = TemporaryDirectory::create().value();
};

TEST_CASE("a set of one's own board is checked whole before anything is sent") {
  test::RecoverySetV3 set{{1000, 2000}};
  const SetOnDisk disk{set};
  const auto trust = set.trust();
  const auto reason = [&](const std::string& board = {}) {
    const auto checked = disk.check(trust, board);
    return checked ? std::string{"none"} : std::string{checked.error().hint().reason};
  };
  const auto good = disk.check(trust, "sphere-virtual");
  REQUIRE(good);
  CHECK(good->config.manifest.entries.size() == 2);
  CHECK(good->config.manifest_sha256 ==
        crypto::sha256(set.files().at(std::string{v3::kManifestFile})));

  CHECK(reason("another") == "recovery.image-refused");
  CHECK(disk.check({}).error().hint().reason == "recovery.image-refused");  // Nobody is trusted.
  const Bytes image = set.files().at("image-1.bin");
  SECTION("an image is missing") {
    disk.remove("image-1.bin");
    CHECK(reason() == "recovery.image-missing");
  }
  SECTION("an image is too short") {
    disk.write("image-1.bin", std::span{image}.first(1999));
    CHECK(reason() == "recovery.image-refused");
  }
  SECTION("a bit of an image is wrong") {
    Bytes bad = image;
    bad[777] ^= std::byte{1};
    disk.write("image-1.bin", bad);
    CHECK(reason() == "recovery.image-refused");
  }
  SECTION("a bit of the manifest is wrong") {
    Bytes bad = set.files().at(std::string{v3::kManifestFile});
    bad[48] ^= std::byte{1};
    disk.write(std::string{v3::kManifestFile}, bad);
    CHECK(reason() == "recovery.image-refused");
  }
  SECTION("the manifest is missing") {
    disk.remove(std::string{v3::kManifestFile});
    CHECK(reason() == "recovery.image-missing");
  }
}

}  // namespace
}  // namespace sphere::recovery
