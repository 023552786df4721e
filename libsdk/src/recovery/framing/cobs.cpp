// SPDX-License-Identifier: MIT
#include "sphere/recovery/cobs.h"

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstring>
#include <span>
#include <utility>
#include <vector>

namespace sphere::recovery {

namespace {

constexpr std::size_t kFullBlock = 254;

// Bytes in front of the first zero; all when there is none.
std::size_t run_without_zero(std::span<const std::byte> bytes) {
  if (bytes.empty()) {
    return 0;
  }
  const void* const found = std::memchr(bytes.data(), 0, bytes.size());
  return found == nullptr
             ? bytes.size()
             : static_cast<std::size_t>(static_cast<const std::byte*>(found) - bytes.data());
}

}  // namespace

std::size_t cobs_encode(std::span<const std::byte> frame, std::span<std::byte> wire) {
  assert(wire.size() >= cobs_limit(frame.size()));
  std::size_t out = 0;
  bool open = true;  // A block is due: at the start, and behind a zero.
  for (std::size_t in = 0; open || in < frame.size();) {
    const auto rest = frame.subspan(in, std::min(kFullBlock, frame.size() - in));
    const std::size_t run = run_without_zero(rest);
    wire[out++] = static_cast<std::byte>(run + 1);
    if (run > 0) {
      std::memcpy(&wire[out], rest.data(), run);
    }
    out += run;
    in += run;
    open = run < kFullBlock && in < frame.size();
    in += open ? 1 : 0;  // That was the zero.
  }
  wire[out++] = std::byte{0};
  return out;
}

void append_cobs(std::span<const std::byte> frame, std::vector<std::byte>& wire) {
  const std::size_t before = wire.size();
  wire.resize(before + cobs_limit(frame.size()));
  wire.resize(before + cobs_encode(frame, std::span{wire}.subspan(before)));
}

CobsDecoder::CobsDecoder(std::size_t limit) : limit_{limit}, frame_(limit) {}

void CobsDecoder::reset() {
  size_ = 0;
  block_left_ = 0;
  begun_ = false;
  zero_due_ = false;
  dropping_ = false;
}

void CobsDecoder::add(std::span<const std::byte> bytes) {
  if (bytes.size() > limit_ - size_) {
    ++counters_.too_long;
    dropping_ = true;
    return;
  }
  if (!bytes.empty()) {
    std::memcpy(frame_.data() + size_, bytes.data(), bytes.size());
    size_ += bytes.size();
  }
}

void CobsDecoder::begin_block(std::byte code) {
  static constexpr std::byte kZero{0};
  if (zero_due_) {
    add(std::span{&kZero, 1});
  }
  begun_ = true;
  block_left_ = std::to_integer<std::size_t>(code) - 1;
  zero_due_ = block_left_ < kFullBlock;
}

bool CobsDecoder::end_frame(const Sink& sink) {
  const bool broken = block_left_ > 0;
  const bool whole = begun_ && !dropping_ && !broken;
  if (!dropping_ && broken) {
    ++counters_.broken;
  }
  const std::size_t size = size_;
  reset();
  if (!whole) {
    return true;
  }
  ++counters_.frames;
  return sink(std::span{frame_}.first(size));
}

std::size_t CobsDecoder::decode(std::span<const std::byte> input, const Sink& sink) {
  for (std::size_t at = 0; at < input.size();) {
    if (input[at] == std::byte{0}) {
      ++at;
      if (!end_frame(sink)) {
        return at;
      }
    } else if (dropping_) {
      at += run_without_zero(input.subspan(at));
    } else if (block_left_ == 0) {
      begin_block(input[at++]);
    } else {
      const auto block = input.subspan(at, std::min(block_left_, input.size() - at));
      const std::size_t run = run_without_zero(block);
      add(block.first(run));
      block_left_ -= run;
      at += run;
    }
  }
  return input.size();
}

}  // namespace sphere::recovery
