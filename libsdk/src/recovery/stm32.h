// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sphere/core/result.h"
#include "sphere/recovery/driver.h"
#include "sphere/transport/byte_stream.h"

namespace sphere::recovery {

// Client of the boot ROM of STM32 chips on a UART (ST application note AN3155): 115,200 baud, 8
// bits, even parity. The host sends 7F, from which the chip learns the baud rate, then commands of
// one byte and its complement; the chip answers each part with 79 (ACK) or 1F (NACK).
//
//   Get        00 FF                                    79 n version commands[n] 79
//   Get ID     02 FD                                    79 1 id-high id-low 79
//   Read       11 EE | address xor | n-1 complement     79 | 79 | 79 bytes[n]
//   Go         21 DE | address xor                      79 | 79
//   Write      31 CE | address xor | n-1 bytes[n] xor   79 | 79 | 79
//   Erase      43 BC | n-1 pages[n] xor, or FF 00       79 | 79
//   Erase      44 BB | n-1 pages[n] xor, 16 bits each, or FF FF 00
//   Unprotect  92 6D                                    79, all is erased, 79, restart
//
// Addresses, page numbers and the counts of the second erase are big-endian. n is 1 to 256.
//
// Limits: five greetings of 1 s, 1 s for each answer, 40 s for erasing; three tries for each block.
// A chip that has lost a byte waits for it without end: after silence it is sent FF 00 until it
// says NACK.
struct Stm32Image {
  std::uint32_t address = 0;  // A multiple of 4.
  std::string file;
  std::uint64_t size = 0;
};

struct Stm32Plan {
  std::vector<Stm32Image> images;
  std::uint32_t flash_address = 0x08000000;
  // Only the pages that an image touches are erased, when their size is known; else all of flash.
  std::optional<std::uint32_t> page_size = {};
  // A chip that is protected against reading can be written only after all of it was erased.
  bool allow_mass_erase = false;
  bool write_all = false;    // Also what is equal already.
  bool verify_only = false;  // Writes nothing.
  // A port that has no parity, as ptys have none, can reach only virtual chips.
  transport::Parity parity = transport::Parity::even;
  std::optional<std::uint32_t> go = {};  // Where to start what was written.
};

// Errors: invalid_argument (no images, an image without bytes, outside 32 bits or not aligned).
[[nodiscard]] Result<std::unique_ptr<Driver>> make_stm32(Stm32Plan plan);

}  // namespace sphere::recovery
