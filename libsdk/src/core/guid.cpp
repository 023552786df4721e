// SPDX-License-Identifier: MIT
#include "sphere/core/guid.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdlib>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <sys/random.h>

#include "sphere/core/encoding.h"

namespace sphere {
namespace {

constexpr std::size_t kTextSize = 36;
constexpr std::array<std::size_t, 4> kHyphens = {8, 13, 18, 23};

// Turns RFC 4122 order into stored order and back: the first three groups are byte-swapped.
std::array<std::byte, Guid::kSize> swap_groups(std::array<std::byte, Guid::kSize> bytes) {
  std::reverse(bytes.begin(), bytes.begin() + 4);
  std::reverse(bytes.begin() + 4, bytes.begin() + 6);
  std::reverse(bytes.begin() + 6, bytes.begin() + 8);
  return bytes;
}

}  // namespace

Guid Guid::from_stored(std::span<const std::byte, kSize> bytes) {
  Guid guid;
  std::ranges::copy(bytes, guid.bytes_.begin());
  return guid;
}

std::optional<Guid> Guid::parse(std::string_view text) {
  if (text.size() != kTextSize) {
    return std::nullopt;
  }
  std::string digits;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool at_hyphen = std::ranges::find(kHyphens, i) != kHyphens.end();
    if (at_hyphen != (text[i] == '-')) {
      return std::nullopt;
    }
    if (!at_hyphen) {
      digits.push_back(text[i]);
    }
  }
  const auto bytes = from_hex(digits);
  if (!bytes) {
    return std::nullopt;
  }
  Guid guid;
  std::ranges::copy(*bytes, guid.bytes_.begin());
  guid.bytes_ = swap_groups(guid.bytes_);
  return guid;
}

Guid Guid::random() {
  Guid guid;
  if (::getrandom(guid.bytes_.data(), guid.bytes_.size(), 0) !=
      static_cast<ssize_t>(guid.bytes_.size())) {
    std::abort();  // Up to 256 bytes cannot fail once the generator is seeded (getrandom(2)).
  }
  guid.bytes_[7] = (guid.bytes_[7] & std::byte{0x0F}) | std::byte{0x40};
  guid.bytes_[8] = (guid.bytes_[8] & std::byte{0x3F}) | std::byte{0x80};
  return guid;
}

std::array<std::byte, Guid::kSize> Guid::rfc4122() const { return swap_groups(bytes_); }

std::string Guid::text() const {
  auto text = to_hex(rfc4122());
  for (const auto at : kHyphens) {
    text.insert(at, 1, '-');
  }
  return text;
}

}  // namespace sphere
