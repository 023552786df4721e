// SPDX-License-Identifier: MIT
// SHA-256 with the ARMv8 cryptographic extension (SHA256H, SHA256H2, SHA256SU0, SHA256SU1), one
// stream or two interleaved.
#if defined(__aarch64__)
#include <arm_neon.h>
#include <cstddef>
#include <cstdint>

#include "libsdk/src/crypto/hash/backend.h"
#include "libsdk/src/crypto/hash/constants.h"

// GCC 12 knows the SHA-2 instructions only together with the AES ones, as "+crypto".
#define SPHERE_ARMV8 [[gnu::target("+crypto"), gnu::always_inline]] inline
#define SPHERE_ARMV8_ENTRY [[gnu::target("+crypto")]]

namespace sphere::crypto {
namespace {

// State words a to d and e to h, and the last 16 words of the message schedule.
struct Stream {
  uint32x4_t abcd, efgh;
  uint32x4_t w[4];
};

SPHERE_ARMV8 uint32x4_t load_words(const std::byte* p) {
  return vreinterpretq_u32_u8(vrev32q_u8(vld1q_u8(reinterpret_cast<const std::uint8_t*>(p))));
}

// Takes lane `lane` out of a state of `lanes` lanes.
SPHERE_ARMV8 void load_state(Stream& s, const std::uint32_t* state, std::size_t lanes,
                             std::size_t lane) {
  std::uint32_t words[kHashWords];
  for (std::size_t w = 0; w < kHashWords; ++w) {
    words[w] = state[w * lanes + lane];
  }
  s.abcd = vld1q_u32(words);
  s.efgh = vld1q_u32(words + 4);
}

SPHERE_ARMV8 void store_state(const Stream& s, std::uint32_t* state, std::size_t lanes,
                              std::size_t lane) {
  std::uint32_t words[kHashWords];
  vst1q_u32(words, s.abcd);
  vst1q_u32(words + 4, s.efgh);
  for (std::size_t w = 0; w < kHashWords; ++w) {
    state[w * lanes + lane] = words[w];
  }
}

// Rounds 4 * group to 4 * group + 3, and the schedule words that come 16 rounds later.
SPHERE_ARMV8 void four_rounds(Stream& s, std::size_t group) {
  const uint32x4_t w = s.w[group % 4];
  const uint32x4_t wk = vaddq_u32(w, vld1q_u32(&kSha256Rounds[4 * group]));
  const uint32x4_t abcd = s.abcd;
  s.abcd = vsha256hq_u32(abcd, s.efgh, wk);
  s.efgh = vsha256h2q_u32(s.efgh, abcd, wk);
  if (group < 12) {
    const uint32x4_t partial = vsha256su0q_u32(w, s.w[(group + 1) % 4]);
    s.w[group % 4] = vsha256su1q_u32(partial, s.w[(group + 2) % 4], s.w[(group + 3) % 4]);
  }
}

template <std::size_t kLanes>
SPHERE_ARMV8 void compress_streams(std::uint32_t* state, const std::byte* const* data,
                                   std::size_t blocks) {
  Stream streams[kLanes];
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    load_state(streams[lane], state, kLanes, lane);
  }
  for (std::size_t i = 0; i < blocks; ++i) {
    Stream before[kLanes];
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      before[lane] = streams[lane];
      for (std::size_t j = 0; j < 4; ++j) {
        streams[lane].w[j] = load_words(data[lane] + kHashBlockSize * i + 16 * j);
      }
    }
#pragma GCC unroll 16
    for (std::size_t group = 0; group < 16; ++group) {
#pragma GCC unroll 2
      for (std::size_t lane = 0; lane < kLanes; ++lane) {
        four_rounds(streams[lane], group);
      }
    }
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      streams[lane].abcd = vaddq_u32(streams[lane].abcd, before[lane].abcd);
      streams[lane].efgh = vaddq_u32(streams[lane].efgh, before[lane].efgh);
    }
  }
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    store_state(streams[lane], state, kLanes, lane);
  }
}

}  // namespace

SPHERE_ARMV8_ENTRY void compress_armv8_x1(std::uint32_t* state, const std::byte* const* data,
                                          std::size_t blocks) {
  compress_streams<1>(state, data, blocks);
}
SPHERE_ARMV8_ENTRY void compress_armv8_x2(std::uint32_t* state, const std::byte* const* data,
                                          std::size_t blocks) {
  compress_streams<2>(state, data, blocks);
}

}  // namespace sphere::crypto
#endif
