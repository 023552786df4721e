// SPDX-License-Identifier: MIT
// SHA-256 of 8 messages at once: one 32-bit word of each message in a 256-bit register. Each round
// is FIPS 180-4's, done to all 8. For processors without the SHA extensions.
#if defined(__x86_64__)
#include <cstddef>
#include <cstdint>
#include <immintrin.h>

#include "libsdk/src/crypto/hash/backend.h"
#include "libsdk/src/crypto/hash/constants.h"

#define SPHERE_AVX2 [[gnu::target("avx2"), gnu::always_inline]] inline
#define SPHERE_AVX2_ENTRY [[gnu::target("avx2")]]

namespace sphere::crypto {
namespace {

using Vector = __m256i;  // 8 words of 32 bits, one per message.
constexpr std::size_t kLanes = 8;

SPHERE_AVX2 Vector add(Vector a, Vector b) { return _mm256_add_epi32(a, b); }
SPHERE_AVX2 Vector xor3(Vector a, Vector b, Vector c) {
  return _mm256_xor_si256(_mm256_xor_si256(a, b), c);
}
template <int kBits>
SPHERE_AVX2 Vector rotate_right(Vector x) {
  return _mm256_or_si256(_mm256_srli_epi32(x, kBits), _mm256_slli_epi32(x, 32 - kBits));
}
SPHERE_AVX2 Vector small_sigma0(Vector x) {
  return xor3(rotate_right<7>(x), rotate_right<18>(x), _mm256_srli_epi32(x, 3));
}
SPHERE_AVX2 Vector small_sigma1(Vector x) {
  return xor3(rotate_right<17>(x), rotate_right<19>(x), _mm256_srli_epi32(x, 10));
}
SPHERE_AVX2 Vector big_sigma0(Vector x) {
  return xor3(rotate_right<2>(x), rotate_right<13>(x), rotate_right<22>(x));
}
SPHERE_AVX2 Vector big_sigma1(Vector x) {
  return xor3(rotate_right<6>(x), rotate_right<11>(x), rotate_right<25>(x));
}
// a ? b : c, bit by bit.
SPHERE_AVX2 Vector choose(Vector a, Vector b, Vector c) {
  return _mm256_xor_si256(c, _mm256_and_si256(a, _mm256_xor_si256(b, c)));
}
SPHERE_AVX2 Vector majority(Vector a, Vector b, Vector c) {
  return _mm256_or_si256(_mm256_and_si256(a, b), _mm256_and_si256(c, _mm256_or_si256(a, b)));
}

SPHERE_AVX2 Vector load_words(const std::byte* p) {
  const Vector big_endian_words =
      _mm256_broadcastsi128_si256(_mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203));
  return _mm256_shuffle_epi8(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)),
                             big_endian_words);
}

// w[0 .. 7] = words 0 to 7 of the 32 bytes at `offset` of every lane: an 8 x 8 transposition.
SPHERE_AVX2 void load_half_block(Vector* w, const std::byte* const* data, std::size_t offset) {
  Vector u[kLanes];  // Half q of u[4g + c] holds column 4q + c of rows 4g to 4g + 3.
#pragma GCC unroll 2
  for (std::size_t g = 0; g < kLanes; g += 4) {
    const Vector row0 = load_words(data[g] + offset);
    const Vector row1 = load_words(data[g + 1] + offset);
    const Vector row2 = load_words(data[g + 2] + offset);
    const Vector row3 = load_words(data[g + 3] + offset);
    const Vector low01 = _mm256_unpacklo_epi32(row0, row1);
    const Vector high01 = _mm256_unpackhi_epi32(row0, row1);
    const Vector low23 = _mm256_unpacklo_epi32(row2, row3);
    const Vector high23 = _mm256_unpackhi_epi32(row2, row3);
    u[g] = _mm256_unpacklo_epi64(low01, low23);
    u[g + 1] = _mm256_unpackhi_epi64(low01, low23);
    u[g + 2] = _mm256_unpacklo_epi64(high01, high23);
    u[g + 3] = _mm256_unpackhi_epi64(high01, high23);
  }
  constexpr int kLowHalves = 0x20;
  constexpr int kHighHalves = 0x31;
#pragma GCC unroll 4
  for (std::size_t c = 0; c < 4; ++c) {
    w[c] = _mm256_permute2x128_si256(u[c], u[4 + c], kLowHalves);
    w[4 + c] = _mm256_permute2x128_si256(u[c], u[4 + c], kHighHalves);
  }
}

// Round t. The names a to h move by one place each round, so the state array is read at t's offset
// instead of being moved; only two of its words change.
SPHERE_AVX2 void round(Vector (&s)[kHashWords], Vector w, std::size_t t) {
  const auto at = [&](std::size_t name) -> Vector& { return s[(name + 64 - t) % kHashWords]; };
  const Vector k = _mm256_set1_epi32(static_cast<int>(kSha256Rounds[t]));
  const Vector t1 = add(add(add(at(7), add(w, k)), big_sigma1(at(4))), choose(at(4), at(5), at(6)));
  const Vector t2 = add(big_sigma0(at(0)), majority(at(0), at(1), at(2)));
  at(3) = add(at(3), t1);
  at(7) = add(t1, t2);
}

// Word t + 16 of the schedule takes the place of word t.
SPHERE_AVX2 void next_schedule_word(Vector (&w)[16], std::size_t t) {
  const Vector sum = add(w[t], w[(t + 9) % 16]);
  w[t] = add(add(sum, small_sigma0(w[(t + 1) % 16])), small_sigma1(w[(t + 14) % 16]));
}

SPHERE_AVX2 void compress_one_block(Vector (&s)[kHashWords], const std::byte* const* data,
                                    std::size_t offset) {
  Vector w[16];
  load_half_block(&w[0], data, offset);
  load_half_block(&w[8], data, offset + 32);
#pragma GCC unroll 4
  for (std::size_t sixteen = 0; sixteen < 64; sixteen += 16) {
#pragma GCC unroll 16
    for (std::size_t t = 0; t < 16; ++t) {
      round(s, w[t], sixteen + t);
      if (sixteen < 48) {
        next_schedule_word(w, t);
      }
    }
  }
}

}  // namespace

SPHERE_AVX2_ENTRY void compress_avx2_x8(std::uint32_t* state, const std::byte* const* data,
                                        std::size_t blocks) {
  auto* words = reinterpret_cast<__m256i*>(state);  // Word w of all lanes is words[w].
  Vector s[kHashWords];
#pragma GCC unroll 8
  for (std::size_t word = 0; word < kHashWords; ++word) {
    s[word] = _mm256_loadu_si256(words + word);
  }
  for (std::size_t i = 0; i < blocks; ++i) {
    Vector before[kHashWords];
#pragma GCC unroll 8
    for (std::size_t word = 0; word < kHashWords; ++word) {
      before[word] = s[word];
    }
    compress_one_block(s, data, kHashBlockSize * i);
#pragma GCC unroll 8
    for (std::size_t word = 0; word < kHashWords; ++word) {
      s[word] = add(s[word], before[word]);
    }
  }
#pragma GCC unroll 8
  for (std::size_t word = 0; word < kHashWords; ++word) {
    _mm256_storeu_si256(words + word, s[word]);
  }
}

}  // namespace sphere::crypto
#endif
