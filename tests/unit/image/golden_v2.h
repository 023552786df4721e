// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

#include <catch2/catch.hpp>

#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/core/thread_pool.h"
#include "sphere/crypto/block_hash.h"
#include "sphere/image/pack_v2.h"
#include "tests/unit/image/golden.h"

namespace sphere::test {

inline constexpr std::string_view kGoldenImageV2 = "4e57f698-6aaf-8217-a36c-ee124fac838b";
inline constexpr std::string_view kGoldenSignatureV2 =
    "a000d6ab550c67fbcaf0c55a1ae48180edc2d42d34e7b65e155cb0bcd6d72e3b"
    "602865af54322c64816269bf5cc2a6f73ac6385fb05e888d7c4bfa73458871b4";

// The metadata block of the golden package v2.
[[nodiscard]] Bytes golden_v2_metadata();

// An engine and a pool of `threads`.
class TestTools {
 public:
  explicit TestTools(std::size_t threads = 2);
  [[nodiscard]] image::Tools get() { return {.engine = &engine_, .pool = &pool_}; }

 private:
  crypto::HashEngine engine_;
  ThreadPool pool_;
};

// What the golden package v2 says beside its body.
[[nodiscard]] image::ImageInfo golden_info();
// The golden application whose files stand in `directory`.
[[nodiscard]] image::ApplicationV2 golden_application(const std::filesystem::path& directory);

// What `pack` writes to an output, in memory.
template <typename Pack>
Result<Bytes> pack_to_memory(Pack pack) {
  const auto scratch = TemporaryDirectory::create();
  REQUIRE(scratch);
  const auto path = scratch->path() / "package";
  {
    auto file = AtomicFile::create(path, {.sync = false});
    REQUIRE(file);
    SPHERE_TRY(pack(image::PackOutput{.descriptor = file->descriptor(), .name = path}));
    REQUIRE(file->commit());
  }
  return read_file(path, std::size_t{64} << 20U);
}

// Packs into memory.
[[nodiscard]] Result<Bytes> pack_v2(const image::ApplicationV2& application,
                                    const image::Tools& tools);
[[nodiscard]] Result<Bytes> pack_v2(const image::RawImage& image, const image::Tools& tools);
// The golden package v2, with a fresh signature.
[[nodiscard]] Bytes golden_package_v2();

}  // namespace sphere::test
