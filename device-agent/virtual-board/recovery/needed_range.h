// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "device-agent/virtual-board/recovery/flash.h"
#include "sphere/crypto/digest.h"

namespace sphere::virtual_board {

// What a board's boot code looks for: `size` bytes of flash from `offset` have this hash.
struct NeededRange {
  std::size_t offset = 0;
  std::size_t size = 0;
  crypto::Sha256Digest sha256 = {};
};

[[nodiscard]] inline bool holds(const Flash& flash, const std::vector<NeededRange>& needed) {
  return std::all_of(needed.begin(), needed.end(), [&](const NeededRange& range) {
    return range.offset <= flash.size() && range.size <= flash.size() - range.offset &&
           crypto::sha256(flash.bytes().subspan(range.offset, range.size)) == range.sha256;
  });
}

}  // namespace sphere::virtual_board
