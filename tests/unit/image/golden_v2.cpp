// SPDX-License-Identifier: MIT
#include "tests/unit/image/golden_v2.h"

#include <cstddef>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "sphere/core/encoding.h"
#include "sphere/core/file.h"
#include "sphere/core/guid.h"
#include "sphere/core/result.h"
#include "sphere/crypto/block_hash.h"
#include "sphere/image/executable_check.h"
#include "sphere/image/metadata.h"
#include "sphere/image/pack_v2.h"

namespace sphere::test {
namespace {

crypto::HashEngine make_engine() {
  auto engine = crypto::HashEngine::create();
  REQUIRE(engine);
  return *std::move(engine);
}

}  // namespace

Bytes golden_v2_metadata() {
  const auto bytes = from_hex(
      "3458344d0b000000494424000a0000005e0f1f3c0b6a8e4b9d530a4c7b1f2d6098f6574eaf6a1782a36cee124fac"
      "838b534718000a4e3fee1fe7fc1cf8a3ec113ce8c14ef3db903c0200008044422800808574670000000067"
      "6f6c64656e00000000000000000000000000000000000000000000000000005450040002000000"
      "4e440c00010000000c000000030000007632280002000000010000000060000000000000006000000000000000"
      "6000000000000000200000000000006d745000"
      "010001000c0c2000060000000100000018ceab34700b098a841ec6aaed1f9766bcaf7d465facab2256f0027a9785"
      "26c214d6193565e306b30734d76c1edc7b28"
      "57242c8fc76e6fba2513f075f999182773760800070000000000000068772400280001006d74333632302d726462"
      "000000000000000000000000000000000000"
      "000000006b6920000a4e3fee1fe7fc1cf8a3ec113ce8c14ef3db903cc53fc9c7f5bff40a85272a1762708d006570"
      "6f63683d313733353638393630300a696e70"
      "7574733d626636313963666565353833636565376234313962613765386236623337396335663361323736313632"
      "373438646534346234636635393931376332"
      "396238300a736f757263653d68747470733a2f2f6578616d706c652e636f6d2f676f6c64656e2e6769740a746f6f"
      "6c3d676f6c64656e2f310afd010000");
  REQUIRE(bytes);
  return *bytes;
}

TestTools::TestTools(std::size_t threads) : engine_{make_engine()}, pool_{threads} {}

image::ImageInfo golden_info() {
  return {
      .component_id = *Guid::parse(kGoldenComponent),
      .build_time = kGoldenTime,
      .name = "golden",
      .depends = std::vector<image::AbiDependency>{{.version = 12, .identity_type = 3}},
      .security = image::SecurityVersion{.image = 7},
      .hardware = image::TargetHardware{.machine = image::kMachineArm, .boards = {"mt3620-rdb"}},
      .provenance = {{.key = "source", .value = "https://example.com/golden.git"},
                     {.key = "tool", .value = "golden/1"}}};
}

image::ApplicationV2 golden_application(const std::filesystem::path& directory) {
  return {.directory = directory,
          .manifest_text = std::string{kGoldenManifest},
          .executables = {"/bin/app"},
          .info = golden_info()};
}

Result<Bytes> pack_v2(const image::ApplicationV2& application, const image::Tools& tools) {
  return pack_to_memory([&](const image::PackOutput& output) {
    return image::pack_application_v2(application, GoldenSigner{}, tools, output);
  });
}

Result<Bytes> pack_v2(const image::RawImage& image, const image::Tools& tools) {
  return pack_to_memory([&](const image::PackOutput& output) {
    return image::pack_raw_image(image, GoldenSigner{}, tools, output);
  });
}

Bytes golden_package_v2() {
  const auto directory = TemporaryDirectory::create();
  REQUIRE(directory);
  write_golden_files(directory->path());
  TestTools tools;
  auto package = pack_v2(golden_application(directory->path()), tools.get());
  REQUIRE(package);
  return *std::move(package);
}

}  // namespace sphere::test
