// SPDX-License-Identifier: MIT
// SHA-256 with the x86 SHA extensions (Intel SDM volume 2, SHA256RNDS2, SHA256MSG1, SHA256MSG2).
//
// One stream waits for itself: SHA256RNDS2 has a latency of several cycles and each needs the one
// before. So x2 and x4 run independent streams interleaved, group of four rounds by group.
#if defined(__x86_64__)
#include <array>
#include <cstddef>
#include <cstdint>
#include <immintrin.h>

#include "libsdk/src/crypto/hash/backend.h"
#include "libsdk/src/crypto/hash/constants.h"

// Compiled for these extensions whatever the rest of the program is compiled for.
#define SPHERE_SHANI [[gnu::target("sha,sse4.1,ssse3"), gnu::always_inline]] inline
#define SPHERE_SHANI_ENTRY [[gnu::target("sha,sse4.1,ssse3")]]

namespace sphere::crypto {
namespace {

// The eight state words in the two registers that SHA256RNDS2 works on, and the last 16 words of
// the message schedule, four to a register.
struct Stream {
  __m128i abef, cdgh;
  __m128i abef_before, cdgh_before;
  __m128i w[4];
};

SPHERE_SHANI __m128i load_words(const std::byte* p) {
  const __m128i big_endian_words = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
  return _mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)), big_endian_words);
}

// Takes lane `lane` out of a state of `lanes` lanes.
SPHERE_SHANI void load_state(Stream& s, const std::uint32_t* state, std::size_t lanes,
                             std::size_t lane) {
  const auto word = [&](std::size_t w) { return static_cast<int>(state[w * lanes + lane]); };
  s.abef = _mm_set_epi32(word(0), word(1), word(4), word(5));
  s.cdgh = _mm_set_epi32(word(2), word(3), word(6), word(7));
}

SPHERE_SHANI void store_state(const Stream& s, std::uint32_t* state, std::size_t lanes,
                              std::size_t lane) {
  alignas(16) std::uint32_t abef[4];
  alignas(16) std::uint32_t cdgh[4];
  _mm_store_si128(reinterpret_cast<__m128i*>(abef), s.abef);
  _mm_store_si128(reinterpret_cast<__m128i*>(cdgh), s.cdgh);
  const std::uint32_t words[kHashWords] = {abef[3], abef[2], cdgh[3], cdgh[2],
                                           abef[1], abef[0], cdgh[1], cdgh[0]};
  for (std::size_t w = 0; w < kHashWords; ++w) {
    state[w * lanes + lane] = words[w];
  }
}

// Rounds 4 * group to 4 * group + 3, and the schedule words that come 16 rounds later.
SPHERE_SHANI void four_rounds(Stream& s, std::size_t group) {
  const auto* constants = reinterpret_cast<const __m128i*>(&kSha256Rounds[4 * group]);
  const __m128i w = s.w[group % 4];
  const __m128i wk = _mm_add_epi32(w, _mm_load_si128(constants));
  s.cdgh = _mm_sha256rnds2_epu32(s.cdgh, s.abef, wk);
  s.abef = _mm_sha256rnds2_epu32(s.abef, s.cdgh, _mm_shuffle_epi32(wk, 0x0E));
  if (group < 12) {
    const __m128i w1 = s.w[(group + 1) % 4];
    const __m128i w2 = s.w[(group + 2) % 4];
    const __m128i w3 = s.w[(group + 3) % 4];
    const __m128i sum = _mm_add_epi32(_mm_sha256msg1_epu32(w, w1), _mm_alignr_epi8(w3, w2, 4));
    s.w[group % 4] = _mm_sha256msg2_epu32(sum, w3);
  }
}

template <std::size_t kLanes>
SPHERE_SHANI void compress_one_block(Stream (&streams)[kLanes], const std::byte* const* data,
                                     std::size_t offset) {
#pragma GCC unroll 4
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    Stream& s = streams[lane];
#pragma GCC unroll 4
    for (std::size_t i = 0; i < 4; ++i) {
      s.w[i] = load_words(data[lane] + offset + 16 * i);
    }
    s.abef_before = s.abef;
    s.cdgh_before = s.cdgh;
  }
#pragma GCC unroll 16
  for (std::size_t group = 0; group < 16; ++group) {
#pragma GCC unroll 4
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      four_rounds(streams[lane], group);
    }
  }
#pragma GCC unroll 4
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    Stream& s = streams[lane];
    s.abef = _mm_add_epi32(s.abef, s.abef_before);
    s.cdgh = _mm_add_epi32(s.cdgh, s.cdgh_before);
  }
}

template <std::size_t kLanes>
SPHERE_SHANI void compress_streams(std::uint32_t* state, const std::byte* const* data,
                                   std::size_t blocks) {
  Stream streams[kLanes];
#pragma GCC unroll 4
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    load_state(streams[lane], state, kLanes, lane);
  }
  for (std::size_t i = 0; i < blocks; ++i) {
    compress_one_block(streams, data, kHashBlockSize * i);
  }
#pragma GCC unroll 4
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    store_state(streams[lane], state, kLanes, lane);
  }
}

}  // namespace

SPHERE_SHANI_ENTRY void compress_shani_x1(std::uint32_t* state, const std::byte* const* data,
                                          std::size_t blocks) {
  compress_streams<1>(state, data, blocks);
}
SPHERE_SHANI_ENTRY void compress_shani_x2(std::uint32_t* state, const std::byte* const* data,
                                          std::size_t blocks) {
  compress_streams<2>(state, data, blocks);
}
SPHERE_SHANI_ENTRY void compress_shani_x4(std::uint32_t* state, const std::byte* const* data,
                                          std::size_t blocks) {
  compress_streams<4>(state, data, blocks);
}

}  // namespace sphere::crypto
#endif
