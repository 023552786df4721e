// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace sphere {

// A 16-byte identifier. Two byte orders are in use for one text form
// 8-4-4-4-12: the *stored* (mixed-endian, .NET) order of image packages, in
// which the first three groups are little-endian, and the RFC 4122 order, in
// which all bytes are as written. This type holds the stored order.
class Guid {
 public:
  static constexpr std::size_t kSize = 16;

  Guid() = default;  // All zero.

  [[nodiscard]] static Guid from_stored(std::span<const std::byte, kSize> bytes);
  // Reads 8-4-4-4-12 hexadecimal digits of either case, without braces.
  [[nodiscard]] static std::optional<Guid> parse(std::string_view text);
  // Random, version 4 of RFC 9562, from the kernel's generator.
  [[nodiscard]] static Guid random();

  [[nodiscard]] const std::array<std::byte, kSize>& stored() const noexcept { return bytes_; }
  [[nodiscard]] std::array<std::byte, kSize> rfc4122() const;
  [[nodiscard]] std::string text() const;  // Lower case, with hyphens.
  [[nodiscard]] bool is_zero() const noexcept { return bytes_ == decltype(bytes_){}; }

  friend auto operator<=>(const Guid&, const Guid&) = default;

 private:
  std::array<std::byte, kSize> bytes_ = {};
};

}  // namespace sphere
