// SPDX-License-Identifier: MIT
#include "sphere/recovery/crc.h"

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace sphere::recovery {

namespace {

// Eight bytes are looked up at once; table k is for a byte with k bytes behind it.
constexpr std::size_t kSlices = 8;
template <typename Int>
using Tables = std::array<std::array<Int, 256>, kSlices>;

consteval Tables<std::uint32_t> reflected_tables(std::uint32_t polynomial) {
  Tables<std::uint32_t> tables{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t value = byte;
    for (int bit = 0; bit < 8; ++bit) {
      value = (value >> 1) ^ ((value & 1) != 0 ? polynomial : 0);
    }
    tables[0][byte] = value;
  }
  for (std::size_t slice = 1; slice < kSlices; ++slice) {
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const std::uint32_t before = tables[slice - 1][byte];
      tables[slice][byte] = (before >> 8) ^ tables[0][before & 0xFF];
    }
  }
  return tables;
}

consteval Tables<std::uint16_t> forward_tables(std::uint16_t polynomial) {
  Tables<std::uint16_t> tables{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t value = byte << 8;
    for (int bit = 0; bit < 8; ++bit) {
      value = (value << 1) ^ ((value & 0x8000) != 0 ? polynomial : 0U);
    }
    tables[0][byte] = static_cast<std::uint16_t>(value);
  }
  for (std::size_t slice = 1; slice < kSlices; ++slice) {
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const std::uint32_t before = tables[slice - 1][byte];
      tables[slice][byte] = static_cast<std::uint16_t>((before << 8) ^ tables[0][before >> 8]);
    }
  }
  return tables;
}

constexpr auto kCastagnoli = reflected_tables(0x82F63B78);
constexpr auto kZip = reflected_tables(0xEDB88320);
constexpr auto kXmodem = forward_tables(0x1021);

std::uint64_t load_little_endian(std::span<const std::byte> bytes) {
  std::uint64_t value = 0;
  std::memcpy(&value, bytes.data(), sizeof value);
  if constexpr (std::endian::native == std::endian::big) {
    value = __builtin_bswap64(value);
  }
  return value;
}

std::uint32_t reflected(const Tables<std::uint32_t>& tables, std::span<const std::byte> bytes,
                        std::uint32_t crc) {
  for (; bytes.size() >= kSlices; bytes = bytes.subspan(kSlices)) {
    const std::uint64_t word = load_little_endian(bytes) ^ crc;
    crc = 0;
    for (std::size_t i = 0; i < kSlices; ++i) {
      crc ^= tables[kSlices - 1 - i][(word >> (8 * i)) & 0xFF];
    }
  }
  for (const std::byte byte : bytes) {
    crc = (crc >> 8) ^ tables[0][(crc ^ std::to_integer<std::uint32_t>(byte)) & 0xFF];
  }
  return crc;
}

}  // namespace

std::uint16_t crc16_xmodem(std::span<const std::byte> bytes, std::uint16_t so_far) {
  std::uint32_t crc = so_far;
  for (; bytes.size() >= kSlices; bytes = bytes.subspan(kSlices)) {
    std::uint64_t word = load_little_endian(bytes) ^ (crc >> 8) ^ ((crc & 0xFF) << 8);
    crc = 0;
    for (std::size_t i = 0; i < kSlices; ++i) {
      crc ^= kXmodem[kSlices - 1 - i][(word >> (8 * i)) & 0xFF];
    }
  }
  for (const std::byte byte : bytes) {
    crc = ((crc << 8) & 0xFFFF) ^ kXmodem[0][(crc >> 8) ^ std::to_integer<std::uint32_t>(byte)];
  }
  return static_cast<std::uint16_t>(crc);
}

std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t so_far) {
  return ~reflected(kCastagnoli, bytes, ~so_far);
}

std::uint32_t crc32(std::span<const std::byte> bytes, std::uint32_t so_far) {
  return ~reflected(kZip, bytes, ~so_far);
}

std::uint32_t crc32_dfu(std::span<const std::byte> bytes) {
  return reflected(kZip, bytes, ~std::uint32_t{0});
}

std::uint8_t xor_sum(std::span<const std::byte> bytes, std::uint8_t start) {
  std::byte sum{start};
  for (const std::byte byte : bytes) {
    sum ^= byte;
  }
  return std::to_integer<std::uint8_t>(sum);
}

}  // namespace sphere::recovery
