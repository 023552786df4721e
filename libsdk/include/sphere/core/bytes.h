// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstring>
#include <span>

namespace sphere {

// Copies `from` to the front of `to`, which has at least as many bytes; the two may overlap.
// For buffers: std::ranges::copy() of bytes is a loop over single bytes in GCC 12's library.
inline void copy_bytes(std::span<const std::byte> from, std::span<std::byte> to) {
  const auto target = to.first(from.size());
  if (!from.empty()) {
    std::memmove(target.data(), from.data(), from.size());
  }
}

}  // namespace sphere
