// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sphere/core/result.h"
#include "sphere/crypto/digest.h"
#include "sphere/recovery/driver.h"

namespace sphere::recovery {

// Client of Qualcomm's emergency download mode, on USB bulk pipes. The ROM speaks Sahara and gets
// a loader ("programmer"), which then speaks Firehose. Sahara packets are little-endian, u32
// command, u32 length of all, then:
//
//   01 HELLO          version, compatible, largest, mode, 6 x 0     from the device
//   02 HELLO_RESP     2, 1, status 0, mode 0, 6 x 0
//   03 READ_DATA      image, offset, length                         from the device
//   04 END_OF_IMAGE   image, status                                 from the device
//   05 DONE, 06 DONE_RESP status, 07 RESET
//   12 READ_DATA64    the same as 03 with 64 bits
//
// Firehose is one XML document a transfer, <data> with one command, answered by <log> and
// <response value="ACK|NAK">:
//
//   configure         MemoryName, MaxPayloadSizeToTargetInBytes, ...; a NAK proposes another size
//   getsha256digest   a range; the digest is in an attribute, or 64 digits in a log
//   program           a range; ACK with rawmode, the sectors, ACK without
//   power             value="reset"
//
// The digests of the images are asked for first: what is there is not written. A loader that tells
// none is written without being verified.
//
// Limits: 1 s for the HELLO, then one answer unasked; 10 s for a command, 120 s for the end of
// writing, 60 s for hashing 64 MiB and that much again for each further; logs are waited for for
// 100 ms.
struct FirehoseImage {
  std::string file;
  std::uint64_t size = 0;
  std::uint32_t partition = 0;       // "physical partition".
  std::string start_sector;          // A number, or "NUM_DISK_SECTORS-33.".
  crypto::Sha256Digest sha256 = {};  // Of the file with zeros to a whole number of sectors.
};

struct FirehosePlan {
  std::string programmer;  // The loader's file.
  std::uint64_t programmer_size = 0;
  std::string memory = "emmc";  // Or "ufs", "nand".
  std::uint32_t sector_size = 512;
  std::vector<FirehoseImage> images;
  bool write_all = false;
  bool verify_only = false;
};

// What a status of Sahara means.
[[nodiscard]] std::string_view sahara_status(std::uint32_t status);

// Errors: invalid_argument (no images or no loader, an image without bytes, a sector size that is
// none).
[[nodiscard]] Result<std::unique_ptr<Driver>> make_firehose(FirehosePlan plan);

}  // namespace sphere::recovery
