// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace sphere::recovery {

// The check sums of the recovery protocols; each gives for "123456789" what its comment says. To
// go on over the next piece, pass the sum so far.

// CRC-16/XMODEM: polynomial 1021, start 0, not reflected: 31C3. Zeros in front do not change it.
[[nodiscard]] std::uint16_t crc16_xmodem(std::span<const std::byte> bytes,
                                         std::uint16_t so_far = 0);

// CRC-32C (Castagnoli), reflected, start and end FFFFFFFF: E3069283.
[[nodiscard]] std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t so_far = 0);

// CRC-32 of zip and Ethernet, reflected, start and end FFFFFFFF: CBF43926.
[[nodiscard]] std::uint32_t crc32(std::span<const std::byte> bytes, std::uint32_t so_far = 0);

// The same without the inversion at the end, as the suffix of DFU files has it: 340BC6D9.
[[nodiscard]] std::uint32_t crc32_dfu(std::span<const std::byte> bytes);

// All bytes xored, from `start`: 0 for AN3155, EF for the ESP loader.
[[nodiscard]] std::uint8_t xor_sum(std::span<const std::byte> bytes, std::uint8_t start = 0);

}  // namespace sphere::recovery
