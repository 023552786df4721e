// SPDX-License-Identifier: MIT
#include "sphere/slip/codec.h"

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstring>
#include <span>
#include <utility>
#include <vector>

namespace sphere::slip {

namespace {

// Bytes in front of the first `wanted`; all when there is none.
std::size_t distance_to(std::byte wanted, std::span<const std::byte> bytes) {
  if (bytes.empty()) {
    return 0;
  }
  const void* const found =
      std::memchr(bytes.data(), std::to_integer<unsigned char>(wanted), bytes.size());
  return found == nullptr
             ? bytes.size()
             : static_cast<std::size_t>(static_cast<const std::byte*>(found) - bytes.data());
}

// The next END and ESC of some bytes. Each byte is looked at once for each, so a byte that is
// frequent does not make the search for the other slow.
class SpecialBytes {
 public:
  explicit SpecialBytes(std::span<const std::byte> bytes)
      : bytes_{bytes}, end_{distance_to(kEnd, bytes)}, escape_{distance_to(kEscape, bytes)} {}

  // The first special byte at or after `from`; the size when there is none.
  [[nodiscard]] std::size_t next(std::size_t from) {
    if (end_ < from) {
      end_ = from + distance_to(kEnd, bytes_.subspan(from));
    }
    if (escape_ < from) {
      escape_ = from + distance_to(kEscape, bytes_.subspan(from));
    }
    return std::min(end_, escape_);
  }

 private:
  std::span<const std::byte> bytes_;
  std::size_t end_;
  std::size_t escape_;
};

constexpr bool is_special(std::byte byte) { return byte == kEnd || byte == kEscape; }

}  // namespace

std::size_t encode(std::span<const std::byte> frame, std::span<std::byte> wire) {
  assert(wire.size() >= encoded_limit(frame.size()));
  SpecialBytes specials{frame};
  std::size_t out = 0;
  wire[out++] = kEnd;
  for (std::size_t in = 0; in < frame.size();) {
    const std::size_t special = specials.next(in);
    if (special > in) {
      std::memcpy(&wire[out], &frame[in], special - in);
      out += special - in;
      in = special;
    }
    // Specials come in rows: those are not worth a search each.
    for (; in < frame.size() && is_special(frame[in]); ++in) {
      wire[out++] = kEscape;
      wire[out++] = frame[in] == kEnd ? kEscapedEnd : kEscapedEscape;
    }
  }
  wire[out++] = kEnd;
  return out;
}

void append_encoded(std::span<const std::byte> frame, std::vector<std::byte>& wire) {
  const std::size_t before = wire.size();
  wire.resize(before + encoded_limit(frame.size()));
  wire.resize(before + encode(frame, std::span{wire}.subspan(before)));
}

Decoder::Decoder(std::size_t limit) : limit_{limit}, frame_(limit) {}

void Decoder::reset() {
  state_ = State::outside;
  outside_counted_ = false;
  size_ = 0;
}

void Decoder::add(std::span<const std::byte> bytes) {
  if (bytes.empty()) {
    return;
  }
  if (bytes.size() > limit_ - size_) {
    ++counters_.too_long;
    state_ = State::dropping;
    return;
  }
  std::memcpy(frame_.data() + size_, bytes.data(), bytes.size());
  size_ += bytes.size();
}

void Decoder::end_frame(const Sink& sink) {
  if (state_ == State::escaped) {
    ++counters_.bad_escapes;
  } else if (state_ == State::inside && size_ > 0) {
    ++counters_.frames;
    sink(std::span{frame_}.first(size_));
  }
  state_ = State::inside;
  size_ = 0;
}

void Decoder::take_escaped(std::byte byte) {
  state_ = State::inside;
  if (byte == kEscapedEnd) {
    add(std::span{&kEnd, 1});
  } else if (byte == kEscapedEscape) {
    add(std::span{&kEscape, 1});
  } else {
    ++counters_.bad_escapes;
    state_ = State::dropping;
  }
}

// Takes bytes of an open frame whose next END is `to_end` bytes away, and returns how many.
std::size_t Decoder::take_run(std::span<const std::byte> rest, std::size_t to_end,
                              const Sink& sink) {
  const auto before_end = rest.first(to_end);
  const std::size_t run = distance_to(kEscape, before_end);
  if (run == to_end && size_ == 0 && to_end < rest.size() && to_end > 0 && to_end <= limit_) {
    // A whole frame without an escape needs no copy.
    ++counters_.frames;
    sink(before_end);
    return to_end;
  }
  add(before_end.first(run));
  if (state_ != State::inside) {
    return to_end;
  }
  const std::size_t taken = run + take_pairs(before_end.subspan(run));
  if (taken < to_end && before_end[taken] == kEscape) {
    state_ = State::escaped;
    return taken + 1;
  }
  return taken;
}

// Takes the right escapes at the front, which come in rows; what else is there is for others.
std::size_t Decoder::take_pairs(std::span<const std::byte> bytes) {
  std::size_t at = 0;
  while (at + 1 < bytes.size() && bytes[at] == kEscape && size_ < limit_ &&
         (bytes[at + 1] == kEscapedEnd || bytes[at + 1] == kEscapedEscape)) {
    frame_[size_++] = bytes[at + 1] == kEscapedEnd ? kEnd : kEscape;
    at += 2;
  }
  return at;
}

void Decoder::decode(std::span<const std::byte> input, const Sink& sink) {
  counters_.bytes += input.size();
  std::size_t at = 0;
  std::size_t end = distance_to(kEnd, input);
  while (at < input.size()) {
    if (at == end) {
      end_frame(sink);
      ++at;
      if (at < input.size() && input[at] == kEnd) {
        end = at;  // Rows of END are not worth a search each.
      } else {
        end = at + distance_to(kEnd, input.subspan(at));
      }
      continue;
    }
    switch (state_) {
      case State::inside:
        at += take_run(input.subspan(at), end - at, sink);
        break;
      case State::escaped:
        take_escaped(input[at++]);
        break;
      case State::outside:
        counters_.outside += std::exchange(outside_counted_, true) ? 0 : 1;
        at = end;
        break;
      case State::dropping:
        at = end;
        break;
    }
  }
}

}  // namespace sphere::slip
