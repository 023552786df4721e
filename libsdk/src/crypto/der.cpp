// SPDX-License-Identifier: MIT
#include "libsdk/src/crypto/der.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "sphere/core/reader.h"

namespace sphere::crypto {
namespace {

constexpr std::size_t kLongForm = 0x80;

// A length in one byte, or in 81 nn or 82 nn nn; never longer than needed.
std::optional<std::size_t> read_length(Reader& reader) {
  const auto first = reader.little_endian<std::uint8_t>();
  if (!first || *first < kLongForm) {
    return first;
  }
  const std::size_t count = *first & 0x7FU;
  if (count < 1 || count > 2) {
    return std::nullopt;
  }
  std::size_t length = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const auto byte = reader.little_endian<std::uint8_t>();
    if (!byte) {
      return std::nullopt;
    }
    length = length << 8U | *byte;
  }
  const std::size_t least = count == 1 ? kLongForm : 0x100;
  return length < least ? std::nullopt : std::optional{length};
}

}  // namespace

std::optional<DerElement> read_der_element(Reader& reader) {
  const auto tag = reader.little_endian<std::uint8_t>();
  const auto length = tag ? read_length(reader) : std::nullopt;
  const auto content = length ? reader.bytes(*length) : std::nullopt;
  if (!content) {
    return std::nullopt;
  }
  return DerElement{.tag = *tag, .content = *content};
}

std::optional<std::span<const std::byte>> read_der(Reader& reader, std::uint8_t tag) {
  const auto element = read_der_element(reader);
  if (!element || element->tag != tag) {
    return std::nullopt;
  }
  return element->content;
}

std::optional<std::uint64_t> read_der_number(Reader& reader) {
  const auto bytes = read_der(reader, kDerInteger);
  if (!bytes || bytes->empty() || bytes->size() > sizeof(std::uint64_t)) {
    return std::nullopt;
  }
  std::uint64_t number = 0;
  for (const auto byte : *bytes) {
    number = number << 8U | std::to_integer<std::uint64_t>(byte);
  }
  const bool negative = ((*bytes)[0] & std::byte{0x80}) != std::byte{0};
  const bool padded = bytes->size() > 1 && (*bytes)[0] == std::byte{0} &&
                      ((*bytes)[1] & std::byte{0x80}) == std::byte{0};
  return negative || padded ? std::nullopt : std::optional{number};
}

}  // namespace sphere::crypto
