// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace sphere::crypto {

inline constexpr std::size_t kHashBlockSize = 64;  // FIPS 180-4: SHA-256 works on 512 bits.
inline constexpr std::size_t kHashWords = 8;
inline constexpr std::size_t kMaxLanes = 16;

// Runs the SHA-256 compression over `blocks` 64-byte blocks of each lane.
//
//   state  kHashWords * lanes words, updated: word w of lane l at [w * lanes + l]
//   data   one pointer per lane, no alignment asked, each to 64 * blocks readable bytes
//
// Every lane runs, filled or not: the caller points an unused one at any readable bytes. That is
// all a kernel does; padding, salts and lengths are in lanes.cpp, once for all of them.
using CompressFunction = void (*)(std::uint32_t* state, const std::byte* const* data,
                                  std::size_t blocks);

// One row of the back-end table.
struct HashBackend {
  std::string_view name;
  std::size_t lanes;          // Messages hashed side by side.
  std::size_t least_lanes;    // From how many on it is faster than the rows below it.
  bool (*is_supported)();     // By this processor and operating system.
  CompressFunction compress;  // Null: whole messages through OpenSSL's EVP.
};

[[nodiscard]] std::span<const HashBackend> hash_backends();

void compress_portable(std::uint32_t* state, const std::byte* const* data, std::size_t blocks);
#if defined(__x86_64__)
void compress_shani_x1(std::uint32_t* state, const std::byte* const* data, std::size_t blocks);
void compress_shani_x2(std::uint32_t* state, const std::byte* const* data, std::size_t blocks);
void compress_shani_x4(std::uint32_t* state, const std::byte* const* data, std::size_t blocks);
void compress_avx2_x8(std::uint32_t* state, const std::byte* const* data, std::size_t blocks);
void compress_avx512_x16(std::uint32_t* state, const std::byte* const* data, std::size_t blocks);
#elif defined(__aarch64__)
void compress_armv8_x1(std::uint32_t* state, const std::byte* const* data, std::size_t blocks);
void compress_armv8_x2(std::uint32_t* state, const std::byte* const* data, std::size_t blocks);
#endif

}  // namespace sphere::crypto
