// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sphere/core/result.h"
#include "sphere/crypto/digest.h"
#include "sphere/recovery/driver.h"

namespace sphere::recovery {

// Client of the boot ROM of ESP32 chips on a UART, 115,200 baud. Each message is a SLIP frame,
// little-endian:
//
//   request   00 | u8 command | u16 size | u32 check sum | data[size]
//   answer    01 | u8 command | u16 size | u32 value | data | status, reason [, 0, 0]
//
// The check sum is the xor of the payload of data commands from EF, else 0. `size` counts the
// status bytes of an answer: four from a ROM, two from a stub that was loaded into RAM. Commands:
//
//   02 flash begin   erase size, blocks, block size, offset [, encrypted: not on the first ESP32]
//   03 flash data    size, number, 0, 0, bytes
//   04 flash end     1: stay, 0: start
//   08 sync          07 07 12 20, 32 x 55; a ROM answers eight times
//   0A register      address; the answer's value
//   0B SPI size      id, size of flash, block, sector, page, status mask
//   0D SPI attach    0, 0
//   13 MD5           address, size, 0, 0; 32 digits from a ROM, 16 bytes from a stub
//   14 security      flags, purposes, chip id, version
//
// The board is reset into its loader by DTR and RTS, where the port has them. Images are hashed
// first: what is right is not written. Blocks of 1 KiB go without compression, and each image's MD5
// is compared afterwards. A ROM is left as it is: no stub is loaded.
//
// Limits: 7 resets with 5 syncs of 100 ms each, 3 s for an answer, 40 s a MiB for erasing, 8 s a
// MiB for hashing; three tries for each command and two more writes of an image that came out
// wrong.
struct EspImage {
  std::uint32_t offset = 0;  // In flash; a multiple of 4096.
  std::string file;
  std::uint64_t size = 0;
  crypto::Md5Digest md5 = {};
};

struct EspPlan {
  std::vector<EspImage> images;
  std::optional<std::uint32_t> chip = {};  // Any other chip is refused: 5 is an ESP32-C3.
  std::uint32_t flash_size = 0;            // 0: the next power of two, at least 4 MiB.
  bool write_all = false;                  // Also what is equal already.
  bool verify_only = false;                // Writes nothing.
};

// Errors: invalid_argument (no images, an image without bytes, not aligned, over another or
// outside 16 MiB).
[[nodiscard]] Result<std::unique_ptr<Driver>> make_esp(EspPlan plan);

}  // namespace sphere::recovery
