// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "sphere/crypto/key.h"
#include "sphere/image/package_v2.h"

namespace sphere::image {
namespace {

constexpr std::size_t kScalar = 32;  // r, s: big-endian.
using Scalar = std::array<std::uint8_t, kScalar>;

// The order n of the group of P-256 (SEC 2, section 2.4.2), and n / 2 rounded down.
constexpr Scalar kOrder = {0xFF, 0xFF, 0xFF, 0xFF, 0x00, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xFF,
                           0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xBC, 0xE6, 0xFA, 0xAD, 0xA7, 0x17,
                           0x9E, 0x84, 0xF3, 0xB9, 0xCA, 0xC2, 0xFC, 0x63, 0x25, 0x51};
constexpr Scalar kHalfOrder = {0x7F, 0xFF, 0xFF, 0xFF, 0x80, 0x00, 0x00, 0x00, 0x7F, 0xFF, 0xFF,
                               0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xDE, 0x73, 0x7D, 0x56, 0xD3, 0x8B,
                               0xCF, 0x42, 0x79, 0xDC, 0xE5, 0x61, 0x7E, 0x31, 0x92, 0xA8};

}  // namespace

bool has_low_s(const crypto::Signature& signature) {
  const auto s = std::span{signature}.last<kScalar>();
  return !std::ranges::lexicographical_compare(std::as_bytes(std::span{kHalfOrder}), s);
}

crypto::Signature with_low_s(crypto::Signature signature) {
  if (has_low_s(signature)) {
    return signature;
  }
  const auto s = std::span{signature}.last<kScalar>();
  int borrow = 0;
  for (std::size_t i = kScalar; i-- > 0;) {
    const int digit = int{std::span{kOrder}[i]} - std::to_integer<int>(s[i]) - borrow;
    borrow = digit < 0 ? 1 : 0;
    s[i] = static_cast<std::byte>(static_cast<unsigned>(digit) & 0xFFU);
  }
  return signature;
}

}  // namespace sphere::image
