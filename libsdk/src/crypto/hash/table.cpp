// SPDX-License-Identifier: MIT
#include <array>
#include <span>

#include "libsdk/src/crypto/hash/backend.h"
#include "libsdk/src/crypto/hash/cpu_features.h"

namespace sphere::crypto {
namespace {

bool always() { return true; }

// In order of preference. `least_lanes` are measured (docs/performance-hashing.md): 16 lanes cost
// the same filled or not, so a wide row must be filled well enough to beat the rows below it.
constexpr auto kBackends = std::to_array<HashBackend>({
#if defined(__x86_64__)
    {.name = "avx512x16",
     .lanes = 16,
     .least_lanes = 10,
     .is_supported = cpu_has_avx512,
     .compress = compress_avx512_x16},
    {.name = "shani_x4",
     .lanes = 4,
     .least_lanes = 4,
     .is_supported = cpu_has_sha,
     .compress = compress_shani_x4},
    {.name = "shani_x2",
     .lanes = 2,
     .least_lanes = 2,
     .is_supported = cpu_has_sha,
     .compress = compress_shani_x2},
    {.name = "shani_x1",
     .lanes = 1,
     .least_lanes = 1,
     .is_supported = cpu_has_sha,
     .compress = compress_shani_x1},
    {.name = "avx2x8",
     .lanes = 8,
     .least_lanes = 3,
     .is_supported = cpu_has_avx2,
     .compress = compress_avx2_x8},
#elif defined(__aarch64__)
    {.name = "armv8_x2",
     .lanes = 2,
     .least_lanes = 2,
     .is_supported = cpu_has_sha,
     .compress = compress_armv8_x2},
    {.name = "armv8_x1",
     .lanes = 1,
     .least_lanes = 1,
     .is_supported = cpu_has_sha,
     .compress = compress_armv8_x1},
#endif
    {.name = "evp", .lanes = 1, .least_lanes = 1, .is_supported = always, .compress = nullptr},
    {.name = "portable",
     .lanes = 1,
     .least_lanes = 1,
     .is_supported = always,
     .compress = compress_portable},
});

}  // namespace

std::span<const HashBackend> hash_backends() { return kBackends; }

}  // namespace sphere::crypto
