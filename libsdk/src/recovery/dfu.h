// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sphere/core/result.h"
#include "sphere/recovery/driver.h"

namespace sphere::recovery {

// Client of USB Device Firmware Upgrade 1.1 and of ST's extension DfuSe. All is control transfers
// to the interface (class FE, subclass 01; protocol 1 while the firmware runs, 2 in DFU mode):
//
//   0 DETACH     value: ms            4 CLRSTATUS
//   1 DNLOAD     value: block         5 GETSTATE   1 byte
//   2 UPLOAD     value: block         6 ABORT
//   3 GETSTATUS  6 bytes: status, u24 ms until the next question, state, string
//
// A file goes in blocks of the device's transfer size, numbered from 0 (behind 65,535 comes 0),
// each followed by GETSTATUS until the device is ready; a block without bytes ends it. With DfuSe
// block 0 carries commands (21 address: set the pointer; 41 address: erase its page; 41: erase
// all), and block n writes to pointer + (n - 2) * transfer size.
//
// Limits: 5 s for each transfer, 300 s for one operation whatever poll times the device names. One
// error of the device is cleared, and all is done once more from the start.
struct DfuDescriptor {  // The functional descriptor, 9 bytes, type 21.
  bool can_download = false;
  bool can_upload = false;
  bool manifestation_tolerant = false;
  bool will_detach = false;
  std::uint16_t detach_ms = 0;
  std::uint16_t transfer_size = 0;
  std::uint16_t version = 0;  // 0110; 011A: DfuSe.
};
// Errors: corrupt (wrong length or type, a transfer size of 0).
[[nodiscard]] Result<DfuDescriptor> parse_dfu_descriptor(std::span<const std::byte> bytes);
inline constexpr std::uint16_t kDfuSe = 0x011A;

// Bytes of a file's content in front of its 16-byte suffix: u16 device, u16 product, u16 vendor,
// u16 0100, "UFD", u8 16, u32 CRC of all before. A file without one is all content. Errors: corrupt
// (the check sum), invalid_argument (it is for another device; FFFF is for any).
[[nodiscard]] Result<std::uint64_t> dfu_content_size(std::span<const std::byte> file,
                                                     std::uint16_t vendor, std::uint16_t product);
// Appends a suffix.
void append_dfu_suffix(std::vector<std::byte>& file, std::uint16_t vendor, std::uint16_t product);

// Pages of a DfuSe memory, from the text of its alternate setting:
// "@Internal Flash  /0x08000000/04*016Kg,01*064Kg". Errors: corrupt; too_large (over 65,536 pages).
struct DfuPage {
  std::uint32_t address = 0;
  std::uint32_t size = 0;
  bool can_erase = false;
};
[[nodiscard]] Result<std::vector<DfuPage>> parse_dfuse_layout(std::string_view text);

struct DfuPlan {
  DfuDescriptor descriptor;
  std::uint16_t interface = 0;
  bool is_running = false;  // The device runs its firmware: it is detached first.
  std::string file;
  std::uint64_t size = 0;           // Of the content.
  std::uint32_t address = 0;        // DfuSe only.
  std::vector<DfuPage> pages = {};  // DfuSe only; none: all of the memory is erased.
  bool write_all = false;           // Also what is equal already.
  bool verify_only = false;         // Writes nothing.
};

// Errors: invalid_argument (no bytes, outside the pages), unsupported (no download).
[[nodiscard]] Result<std::unique_ptr<Driver>> make_dfu(DfuPlan plan);

}  // namespace sphere::recovery
