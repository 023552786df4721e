// SPDX-License-Identifier: MIT
#include "device-agent/virtual-board/recovery/flash.h"

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <span>

namespace sphere::virtual_board {

namespace {

constexpr std::byte kErased{0xFF};
constexpr std::size_t kTear = 512;

std::size_t torn_size(std::size_t size) { return size / 2 / kTear * kTear; }

}  // namespace

Flash::Flash(std::size_t size, std::size_t sector) : bytes_(size, kErased), sector_{sector} {
  assert(sector > 0 && size % sector == 0);
}

Flash::Access Flash::refuse(Access why) {
  ++counters_.refused;
  return why;
}

// Whether there is power for one more call; `torn`: it goes off within this one.
bool Flash::spend_power(bool& torn) {
  torn = false;
  if (!calls_left_) {
    return true;
  }
  if (*calls_left_ == 0) {
    return false;
  }
  torn = --*calls_left_ == 0;
  return true;
}

bool Flash::touches_bad_sector(std::size_t offset, std::size_t size) const {
  return bad_sector_ && size > 0 && *bad_sector_ >= offset / sector_ &&
         *bad_sector_ <= (offset + size - 1) / sector_;
}

Flash::Access Flash::erase(std::size_t offset, std::size_t size) {
  if (offset > bytes_.size() || size > bytes_.size() - offset) {
    return refuse(Access::out_of_range);
  }
  if (size == 0) {
    return Access::ok;
  }
  bool torn = false;
  if (!spend_power(torn)) {
    return Access::no_power;
  }
  const std::size_t first = offset / sector_ * sector_;
  const std::size_t last = (offset + size + sector_ - 1) / sector_ * sector_;
  const std::size_t whole = last - first;
  const std::size_t done = torn ? torn_size(whole) : whole;
  counters_.sectors_erased += (done + sector_ - 1) / sector_;
  std::ranges::fill(std::span{bytes_}.subspan(first, done), kErased);
  if (torn) {
    return Access::no_power;
  }
  return touches_bad_sector(offset, size) ? refuse(Access::bad_sector) : Access::ok;
}

Flash::Access Flash::program(std::size_t offset, std::span<const std::byte> bytes) {
  if (offset > bytes_.size() || bytes.size() > bytes_.size() - offset) {
    return refuse(Access::out_of_range);
  }
  const auto place = std::span{bytes_}.subspan(offset, bytes.size());
  if (!std::ranges::all_of(place, [](std::byte byte) { return byte == kErased; })) {
    return refuse(Access::not_erased);
  }
  if (touches_bad_sector(offset, bytes.size())) {
    return refuse(Access::bad_sector);
  }
  bool torn = false;
  if (!spend_power(torn)) {
    return Access::no_power;
  }
  const auto written = bytes.first(torn ? torn_size(bytes.size()) : bytes.size());
  std::ranges::copy(written, place.begin());
  counters_.bytes_programmed += written.size();
  return torn ? Access::no_power : Access::ok;
}

void Flash::flip(std::size_t offset) { bytes_.at(offset) ^= std::byte{1}; }

void Flash::load(std::size_t offset, std::span<const std::byte> bytes) {
  assert(offset <= bytes_.size() && bytes.size() <= bytes_.size() - offset);
  std::ranges::copy(bytes, std::span{bytes_}.subspan(offset).begin());
}

}  // namespace sphere::virtual_board
