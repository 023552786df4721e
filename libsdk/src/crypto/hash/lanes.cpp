// SPDX-License-Identifier: MIT
#include "libsdk/src/crypto/hash/lanes.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <span>

#include "libsdk/src/crypto/hash/backend.h"
#include "sphere/core/result.h"
#include "sphere/crypto/block_hash.h"
#include "sphere/crypto/digest.h"

namespace sphere::crypto {

Sha256Digest digest_of(const HashLane& lane) {
  Sha256Digest digest = {};
  for (std::size_t i = 0; i < digest.size(); ++i) {
    digest[i] = static_cast<std::byte>(lane.state[i / 4] >> (24 - 8 * (i % 4)));
  }
  return digest;
}

std::size_t write_padding(Padding& padding, std::size_t rest, std::uint64_t message_bytes) {
  constexpr std::size_t kLengthSize = 8;
  assert(rest < kHashBlockSize);
  const std::size_t blocks = rest + 1 + kLengthSize <= kHashBlockSize ? 1 : 2;
  const std::size_t end = blocks * kHashBlockSize;
  std::fill(padding.begin() + static_cast<std::ptrdiff_t>(rest), padding.end(), std::byte{0});
  padding[rest] = std::byte{0x80};
  const std::uint64_t bits = message_bytes * 8;
  for (std::size_t i = 0; i < kLengthSize; ++i) {
    padding[end - 1 - i] = static_cast<std::byte>(bits >> (8 * i));
  }
  return blocks;
}

void run_kernel(const HashBackend& row, std::span<HashLane* const> lanes, std::size_t blocks) {
  assert(!lanes.empty() && lanes.size() <= row.lanes);
  alignas(64) std::array<std::uint32_t, kHashWords * kMaxLanes> state;
  std::array<const std::byte*, kMaxLanes> data;
  for (std::size_t i = 0; i < row.lanes; ++i) {
    // A lane without a message repeats the last one: harmless, and its result is dropped.
    const HashLane& lane = *lanes[std::min(i, lanes.size() - 1)];
    data[i] = lane.data;
    for (std::size_t word = 0; word < kHashWords; ++word) {
      state[word * row.lanes + i] = lane.state[word];
    }
  }
  row.compress(state.data(), data.data(), blocks);
  for (std::size_t i = 0; i < lanes.size(); ++i) {
    for (std::size_t word = 0; word < kHashWords; ++word) {
      lanes[i]->state[word] = state[word * row.lanes + i];
    }
    lanes[i]->data += kHashBlockSize * blocks;
  }
}

void StreamFeeder::start(MessageStream& stream) {
  stream_ = &stream;
  lane_ = {};
  blocks_ = 0;
  message_bytes_ = 0;
  rest_ = 0;
  phase_ = Phase::pieces;
}

Result<bool> StreamFeeder::refill() {
  while (blocks_ == 0) {
    if (phase_ == Phase::padding) {
      return false;
    }
    SPHERE_TRY(take_piece());
  }
  return true;
}

Result<void> StreamFeeder::take_piece() {
  SPHERE_TRY_ASSIGN(const auto piece, stream_->next());
  if (piece.empty()) {
    blocks_ = write_padding(padding_, rest_, message_bytes_);
    lane_.data = padding_.data();
    phase_ = Phase::padding;
    return {};
  }
  if (rest_ != 0) {
    return fail(Errc::invalid_argument,
                "a piece of a message to hash follows one that is no multiple of 64 bytes");
  }
  rest_ = piece.size() % kHashBlockSize;
  std::ranges::copy(piece.last(rest_), padding_.begin());
  blocks_ = piece.size() / kHashBlockSize;
  lane_.data = piece.data();
  message_bytes_ += piece.size();
  return {};
}

}  // namespace sphere::crypto
