// SPDX-License-Identifier: MIT
// SHA-256 of 16 messages at once: one 32-bit word of each message in a 512-bit register. Each round
// is FIPS 180-4's, done to all 16.
#if defined(__x86_64__)
#if !defined(__clang__)
// GCC 12 takes the deliberately undefined operand inside its own intrinsics for our mistake
// (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#include <cstddef>
#include <cstdint>
#include <immintrin.h>

#include "libsdk/src/crypto/hash/backend.h"
#include "libsdk/src/crypto/hash/constants.h"

#define SPHERE_AVX512 [[gnu::target("avx512f,avx512bw,avx512vl"), gnu::always_inline]] inline
#define SPHERE_AVX512_ENTRY [[gnu::target("avx512f,avx512bw,avx512vl")]]

namespace sphere::crypto {
namespace {

using Vector = __m512i;  // 16 words of 32 bits, one per message.
constexpr std::size_t kLanes = 16;

// Tables of VPTERNLOGD: bit (4a + 2b + c) is the result for the bits a, b, c.
constexpr int kXor3 = 0x96;
constexpr int kChoose = 0xCA;    // a ? b : c
constexpr int kMajority = 0xE8;  // At least two of them.

SPHERE_AVX512 Vector add(Vector a, Vector b) { return _mm512_add_epi32(a, b); }
SPHERE_AVX512 Vector xor3(Vector a, Vector b, Vector c) {
  return _mm512_ternarylogic_epi32(a, b, c, kXor3);
}
SPHERE_AVX512 Vector small_sigma0(Vector x) {
  return xor3(_mm512_ror_epi32(x, 7), _mm512_ror_epi32(x, 18), _mm512_srli_epi32(x, 3));
}
SPHERE_AVX512 Vector small_sigma1(Vector x) {
  return xor3(_mm512_ror_epi32(x, 17), _mm512_ror_epi32(x, 19), _mm512_srli_epi32(x, 10));
}
SPHERE_AVX512 Vector big_sigma0(Vector x) {
  return xor3(_mm512_ror_epi32(x, 2), _mm512_ror_epi32(x, 13), _mm512_ror_epi32(x, 22));
}
SPHERE_AVX512 Vector big_sigma1(Vector x) {
  return xor3(_mm512_ror_epi32(x, 6), _mm512_ror_epi32(x, 11), _mm512_ror_epi32(x, 25));
}

SPHERE_AVX512 Vector load_words(const std::byte* p) {
  const Vector big_endian_words =
      _mm512_broadcast_i32x4(_mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203));
  return _mm512_shuffle_epi8(_mm512_loadu_si512(p), big_endian_words);
}

// Interleaves 32-bit words, then 64-bit pairs: afterwards quarter q of u[4g + c] holds column
// 4q + c of rows 4g to 4g + 3.
SPHERE_AVX512 void transpose_in_quarters(Vector (&u)[kLanes], const Vector (&rows)[kLanes]) {
#pragma GCC unroll 4
  for (std::size_t g = 0; g < kLanes; g += 4) {
    const Vector low01 = _mm512_unpacklo_epi32(rows[g], rows[g + 1]);
    const Vector high01 = _mm512_unpackhi_epi32(rows[g], rows[g + 1]);
    const Vector low23 = _mm512_unpacklo_epi32(rows[g + 2], rows[g + 3]);
    const Vector high23 = _mm512_unpackhi_epi32(rows[g + 2], rows[g + 3]);
    u[g] = _mm512_unpacklo_epi64(low01, low23);
    u[g + 1] = _mm512_unpackhi_epi64(low01, low23);
    u[g + 2] = _mm512_unpacklo_epi64(high01, high23);
    u[g + 3] = _mm512_unpackhi_epi64(high01, high23);
  }
}

// w[t] = word t of every lane's block: a 16 x 16 transposition of 32-bit words.
SPHERE_AVX512 void load_block(Vector (&w)[kLanes], const std::byte* const* data,
                              std::size_t offset) {
  Vector rows[kLanes];
#pragma GCC unroll 16
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    rows[lane] = load_words(data[lane] + offset);
  }
  Vector u[kLanes];
  transpose_in_quarters(u, rows);
  constexpr int kEven = 0x88;  // Quarters 0 and 2 of either operand.
  constexpr int kOdd = 0xDD;   // Quarters 1 and 3.
#pragma GCC unroll 4
  for (std::size_t c = 0; c < 4; ++c) {
    const Vector even_low = _mm512_shuffle_i32x4(u[c], u[4 + c], kEven);
    const Vector even_high = _mm512_shuffle_i32x4(u[8 + c], u[12 + c], kEven);
    const Vector odd_low = _mm512_shuffle_i32x4(u[c], u[4 + c], kOdd);
    const Vector odd_high = _mm512_shuffle_i32x4(u[8 + c], u[12 + c], kOdd);
    w[c] = _mm512_shuffle_i32x4(even_low, even_high, kEven);
    w[4 + c] = _mm512_shuffle_i32x4(odd_low, odd_high, kEven);
    w[8 + c] = _mm512_shuffle_i32x4(even_low, even_high, kOdd);
    w[12 + c] = _mm512_shuffle_i32x4(odd_low, odd_high, kOdd);
  }
}

// Round t. The names a to h move by one place each round, so the state array is read at t's offset
// instead of being moved; only two of its words change.
SPHERE_AVX512 void round(Vector (&s)[kHashWords], Vector w, std::size_t t) {
  const auto at = [&](std::size_t name) -> Vector& { return s[(name + 64 - t) % kHashWords]; };
  const Vector k = _mm512_set1_epi32(static_cast<int>(kSha256Rounds[t]));
  const Vector choose = _mm512_ternarylogic_epi32(at(4), at(5), at(6), kChoose);
  const Vector majority = _mm512_ternarylogic_epi32(at(0), at(1), at(2), kMajority);
  const Vector t1 = add(add(add(at(7), add(w, k)), big_sigma1(at(4))), choose);
  at(3) = add(at(3), t1);
  at(7) = add(add(t1, majority), big_sigma0(at(0)));
}

// Word t + 16 of the schedule takes the place of word t.
SPHERE_AVX512 void next_schedule_word(Vector (&w)[kLanes], std::size_t t) {
  const Vector sum = add(w[t], w[(t + 9) % 16]);
  w[t] = add(add(sum, small_sigma0(w[(t + 1) % 16])), small_sigma1(w[(t + 14) % 16]));
}

SPHERE_AVX512 void compress_one_block(Vector (&s)[kHashWords], const std::byte* const* data,
                                      std::size_t offset) {
  Vector w[kLanes];
  load_block(w, data, offset);
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

SPHERE_AVX512_ENTRY void compress_avx512_x16(std::uint32_t* state, const std::byte* const* data,
                                             std::size_t blocks) {
  Vector s[kHashWords];
#pragma GCC unroll 8
  for (std::size_t word = 0; word < kHashWords; ++word) {
    s[word] = _mm512_loadu_si512(state + kLanes * word);
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
    _mm512_storeu_si512(state + kLanes * word, s[word]);
  }
}

}  // namespace sphere::crypto
#endif
