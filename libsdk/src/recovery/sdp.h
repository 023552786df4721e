// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "sphere/core/result.h"
#include "sphere/recovery/driver.h"

namespace sphere::recovery {

// Client of NXP's serial download protocol (SDP), which the ROM of i.MX chips speaks as a HID
// device or on a UART. It takes an image into RAM and starts it: nothing in flash changes. A
// command has 16 bytes, big-endian:
//
//   u16 code | u32 address | u8 format | u32 count | u32 data | u8 0
//
//   0404 write file   answered by 88888888 behind all data
//   0505 status       the HAB's word; F0F0F0F0: no error
//   0A0A write DCD    128A8A12; the chip carries the DCD out
//   0B0B jump         nothing, or a HAB word
//   0C0C skip DCD     900DD009; the DCD of what is started is not carried out again
//
// HID reports: 1 a command, 2 data (1024 bytes, the last with zeros behind), 3 the security state
// (56787856 open, 12343412 closed), which comes first, 4 the answer (64 bytes). On a UART (115,200
// baud) the host says 23 45 45 23 until it hears the same; then come commands, data, and answers of
// four bytes each, without ids and padding.
//
// Limits: 5 s for a transfer or an answer, 10 s behind all data, 1 s of silence after a jump.
struct SdpChip {
  std::uint16_t vendor = 0;
  std::uint16_t product = 0;
  std::string_view name;
  std::uint32_t free_address = 0;  // RAM where a DCD may go; 0: none is known.
  bool skips_dcd = false;
};
[[nodiscard]] std::span<const SdpChip> sdp_chips();
[[nodiscard]] const SdpChip* find_sdp_chip(std::uint16_t vendor, std::uint16_t product);

// What an image says of itself in its image vector table:
//
//   D1 00 20 40 | u32 entry | u32 0 | u32 DCD | u32 boot data | u32 self | u32 CSF | u32 0
//
// All but the first are addresses in the chip, little-endian; `self` is the table's own. Boot data:
// u32 start | u32 size | u32 plugin.
struct SdpImage {
  std::size_t offset = 0;     // Of the table: what is in front is not sent.
  std::uint32_t address = 0;  // Where the table goes, and what is jumped to.
  std::size_t dcd_offset = 0;
  std::size_t dcd_size = 0;  // 0: there is none.
};
// Errors: corrupt (no table, or one that points outside the file).
[[nodiscard]] Result<SdpImage> parse_sdp_image(std::span<const std::byte> file);

struct SdpPlan {
  SdpChip chip;
  SdpImage image;
  std::string file;
  std::uint64_t size = 0;  // Of the file.
  bool uart = false;
};

// "closed: invalid signature (authenticate image)". Bytes in the order of the wire.
[[nodiscard]] std::string hab_text(std::span<const std::byte> word);

// Errors: invalid_argument (no bytes; the image has a DCD and the chip no place for one).
[[nodiscard]] Result<std::unique_ptr<Driver>> make_sdp(SdpPlan plan);

}  // namespace sphere::recovery
