// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "sphere/core/reader.h"

// The part of DER (X.690) that keys use: one-byte tags, and definite, shortest lengths of at most
// 65,535 bytes, which is more than any key has.
namespace sphere::crypto {

inline constexpr std::uint8_t kDerInteger = 0x02;
inline constexpr std::uint8_t kDerBitString = 0x03;
inline constexpr std::uint8_t kDerOctetString = 0x04;
inline constexpr std::uint8_t kDerNull = 0x05;
inline constexpr std::uint8_t kDerObjectId = 0x06;
inline constexpr std::uint8_t kDerSequence = 0x30;
inline constexpr std::uint8_t kDerContext0 = 0xA0;
inline constexpr std::uint8_t kDerContext1 = 0xA1;

struct DerElement {
  std::uint8_t tag = 0;
  std::span<const std::byte> content;
};

// The next element; nothing when it is cut, too long, or its length could be written shorter.
[[nodiscard]] std::optional<DerElement> read_der_element(Reader& reader);

// The content of the next element, if it has this tag.
[[nodiscard]] std::optional<std::span<const std::byte>> read_der(Reader& reader, std::uint8_t tag);

// A non-negative INTEGER below 2^63 in its shortest form.
[[nodiscard]] std::optional<std::uint64_t> read_der_number(Reader& reader);

template <std::size_t kSize>
[[nodiscard]] bool der_equals(std::span<const std::byte> bytes,
                              const std::array<std::uint8_t, kSize>& other) {
  return std::ranges::equal(bytes, std::as_bytes(std::span{other}));
}

}  // namespace sphere::crypto
