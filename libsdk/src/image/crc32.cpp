// SPDX-License-Identifier: MIT
#include "libsdk/src/image/crc32.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace sphere::image {
namespace {

constexpr std::uint32_t kPolynomial = 0xEDB88320;
constexpr std::size_t kSlices = 8;

using Tables = std::array<std::array<std::uint32_t, 256>, kSlices>;

// tables[0][b] is the CRC of byte b; tables[k][b] that of b followed by k zero bytes.
constexpr Tables make_tables() {
  Tables tables = {};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t state = byte;
    for (int bit = 0; bit < 8; ++bit) {
      state = (state >> 1U) ^ ((state & 1U) != 0 ? kPolynomial : 0);
    }
    tables.at(0).at(byte) = state;
  }
  for (std::size_t slice = 1; slice < kSlices; ++slice) {
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const auto previous = tables.at(slice - 1).at(byte);
      tables.at(slice).at(byte) = (previous >> 8U) ^ tables.at(0).at(previous & 0xFFU);
    }
  }
  return tables;
}

constexpr Tables kTables = make_tables();

// The CRC of `byte`'s low eight bits followed by `slice` zero bytes; slice < kSlices.
inline std::uint32_t look_up(std::size_t slice, std::uint32_t byte) {
  return kTables[slice]
                [byte & 0xFFU];  // NOLINT(cppcoreguidelines-pro-bounds-constant-array-index):
                                 // in range
}

std::uint32_t update_bytes(std::uint32_t state, std::span<const std::byte> bytes) {
  for (const auto byte : bytes) {
    state = (state >> 8U) ^ look_up(0, state ^ std::to_integer<std::uint32_t>(byte));
  }
  return state;
}

std::uint32_t load_little_endian(std::span<const std::byte> bytes) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < sizeof value; ++i) {
    value |= std::to_integer<std::uint32_t>(bytes[i]) << (8 * i);
  }
  return value;
}

// Eight bytes a step through eight tables ("slicing by 8").
std::uint32_t update_slicing(std::uint32_t state, std::span<const std::byte> bytes) {
  while (bytes.size() >= kSlices) {
    const std::uint32_t low = state ^ load_little_endian(bytes);
    const std::uint32_t high = load_little_endian(bytes.subspan(4));
    state = look_up(7, low) ^ look_up(6, low >> 8U) ^ look_up(5, low >> 16U) ^
            look_up(4, low >> 24U) ^ look_up(3, high) ^ look_up(2, high >> 8U) ^
            look_up(1, high >> 16U) ^ look_up(0, high >> 24U);
    bytes = bytes.subspan(kSlices);
  }
  return update_bytes(state, bytes);
}

// Polynomials over GF(2) modulo P, reflected as the state is: bit 31 is the coefficient of x^0.
constexpr std::uint32_t kOne = 0x80000000;

constexpr std::uint32_t multiply(std::uint32_t a, std::uint32_t b) {
  std::uint32_t product = 0;
  for (std::uint32_t bit = kOne; bit != 0; bit >>= 1U) {
    product ^= (a & bit) != 0 ? b : 0;
    b = (b >> 1U) ^ ((b & 1U) != 0 ? kPolynomial : 0);  // Times x.
  }
  return product;
}

// x^(8 n): a state times this is the state after n zero bytes.
constexpr std::uint32_t shift_by_bytes(std::uint64_t n) {
  std::uint32_t power = kOne >> 8U;
  std::uint32_t result = kOne;
  for (; n != 0; n >>= 1U) {
    if ((n & 1U) != 0) {
      result = multiply(result, power);
    }
    power = multiply(power, power);
  }
  return result;
}

bool always() { return true; }

#if defined(__x86_64__)

#define SPHERE_PCLMUL __attribute__((target("pclmul,sse4.1")))

// Folding constants: x^n mod P, bit-reflected and shifted left by one, for the distances that a
// fold of four and of one 128-bit lanes and the last reductions need. Derivation: V. Gopal et al.,
// "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ", Intel 2009.
constexpr long long kFold4Low = 0x154442BD4;      // x^(4*128+32)
constexpr long long kFold4High = 0x1C6E41596;     // x^(4*128-32)
constexpr long long kFold1Low = 0x1751997D0;      // x^(128+32)
constexpr long long kFold1High = 0x0CCAA009E;     // x^(128-32)
constexpr long long kReduce64 = 0x163CD6124;      // x^64
constexpr long long kPolynomial33 = 0x1DB710641;  // P with its top bit, reflected.
constexpr long long kBarrett = 0x1F7011641;       // floor(x^64 / P), reflected.

constexpr std::size_t kLane = 16;
constexpr std::size_t kStep = 4 * kLane;

SPHERE_PCLMUL inline __m128i load(std::span<const std::byte> bytes) {
  __m128i lane;
  std::memcpy(&lane, bytes.data(), sizeof lane);
  return lane;
}

// Moves `lane` forward by the distance that `constants` stand for and adds `next`.
SPHERE_PCLMUL inline __m128i fold(__m128i lane, __m128i constants, __m128i next) {
  const __m128i low = _mm_clmulepi64_si128(lane, constants, 0x00);
  const __m128i high = _mm_clmulepi64_si128(lane, constants, 0x11);
  return _mm_xor_si128(_mm_xor_si128(low, high), next);
}

// 128 bits to the 32 of the state.
SPHERE_PCLMUL std::uint32_t reduce(__m128i lane) {
  const __m128i mask = _mm_setr_epi32(-1, 0, -1, 0);
  const __m128i fold1 = _mm_set_epi64x(kFold1High, kFold1Low);
  lane = _mm_xor_si128(_mm_clmulepi64_si128(lane, fold1, 0x10), _mm_srli_si128(lane, 8));
  const __m128i reduce64 = _mm_set_epi64x(0, kReduce64);
  lane = _mm_xor_si128(_mm_clmulepi64_si128(_mm_and_si128(lane, mask), reduce64, 0x00),
                       _mm_srli_si128(lane, 4));
  const __m128i barrett = _mm_set_epi64x(kBarrett, kPolynomial33);
  __m128i quotient = _mm_clmulepi64_si128(_mm_and_si128(lane, mask), barrett, 0x10);
  quotient = _mm_clmulepi64_si128(_mm_and_si128(quotient, mask), barrett, 0x00);
  return static_cast<std::uint32_t>(_mm_extract_epi32(_mm_xor_si128(lane, quotient), 1));
}

// Carry-less multiplication: four lanes of 16 bytes a step.
SPHERE_PCLMUL std::uint32_t update_pclmul(std::uint32_t state, std::span<const std::byte> bytes) {
  if (bytes.size() < kStep) {
    return update_slicing(state, bytes);
  }
  const __m128i fold4 = _mm_set_epi64x(kFold4High, kFold4Low);
  const __m128i fold1 = _mm_set_epi64x(kFold1High, kFold1Low);
  __m128i a = _mm_xor_si128(load(bytes), _mm_cvtsi32_si128(static_cast<int>(state)));
  __m128i b = load(bytes.subspan(kLane));
  __m128i c = load(bytes.subspan(2 * kLane));
  __m128i d = load(bytes.subspan(3 * kLane));
  bytes = bytes.subspan(kStep);
  while (bytes.size() >= kStep) {
    a = fold(a, fold4, load(bytes));
    b = fold(b, fold4, load(bytes.subspan(kLane)));
    c = fold(c, fold4, load(bytes.subspan(2 * kLane)));
    d = fold(d, fold4, load(bytes.subspan(3 * kLane)));
    bytes = bytes.subspan(kStep);
  }
  __m128i lane = fold(a, fold1, b);
  lane = fold(lane, fold1, c);
  lane = fold(lane, fold1, d);
  while (bytes.size() >= kLane) {
    lane = fold(lane, fold1, load(bytes));
    bytes = bytes.subspan(kLane);
  }
  return update_slicing(reduce(lane), bytes);
}

bool has_pclmul() {
  return static_cast<bool>(__builtin_cpu_supports("pclmul")) &&
         static_cast<bool>(__builtin_cpu_supports("sse4.1"));
}

constexpr std::array<Crc32Kernel, 2> kKernels = {{
    {.name = "pclmul", .supported = has_pclmul, .update = update_pclmul},
    {.name = "slicing8", .supported = always, .update = update_slicing},
}};

#else

constexpr std::array<Crc32Kernel, 1> kKernels = {{
    {.name = "slicing8", .supported = always, .update = update_slicing},
}};

#endif

}  // namespace

std::span<const Crc32Kernel> crc32_kernels() { return kKernels; }

Crc32& Crc32::update(std::span<const std::byte> bytes) {
  static const auto* const best =
      &*std::ranges::find_if(kKernels, [](const auto& kernel) { return kernel.supported(); });
  state_ = best->update(state_, bytes);
  return *this;
}

// The inversions at both ends cancel: CRC(a b) = CRC(a) x^(8 |b|) + CRC(b).
Crc32& Crc32::append(std::uint32_t value, std::uint64_t length) {
  if (shift_length_ != length || shift_ == 0) {
    shift_length_ = length;
    shift_ = shift_by_bytes(length);
  }
  state_ = ~(multiply(this->value(), shift_) ^ value);
  return *this;
}

Crc32& Crc32::append_zeros(std::uint64_t count) {
  state_ = multiply(state_, shift_by_bytes(count));
  return *this;
}

}  // namespace sphere::image
