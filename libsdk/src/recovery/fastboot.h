// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "sphere/core/result.h"
#include "sphere/recovery/driver.h"

namespace sphere::recovery {

// Client of fastboot 0.4. The host asks, the device answers:
//
//   host                       device
//   getvar:NAME                OKAY value
//   download:%08x              DATA%08x, the same number; then so many bytes; then OKAY
//   flash:PARTITION            OKAY, after any number of INFO lines
//   anything                   FAIL text
//
// Commands have up to 64 bytes, answers up to 256. On USB each is one bulk transfer (each Received
// is taken as one). Over TCP both sides first say FB01 and then put each in a packet with its
// length (sphere/recovery/packet_stream.h).
//
// Limits: 5 s for the handshake and variables, 30 s without a byte taken, 30 s for the answer to
// data, 60 s and a second for each MiB for flashing (erasing is part of it); a line of INFO starts
// that anew, up to 15 minutes.
struct FastbootImage {
  std::string partition;
  std::string file;
  std::uint64_t size = 0;
  std::string sha256 = {};  // Lower-case hexadecimal; needed with `hash_command`.
};

struct FastbootPlan {
  std::vector<FastbootImage> images;
  bool tcp = false;
  // A command of the board's loader that tells the SHA-256 of the first bytes of a partition:
  // "<hash_command> PARTITION SIZE" is answered by 64 hexadecimal digits, in INFO lines or OKAY.
  // Empty: what was written cannot be verified.
  std::string hash_command = {};
  bool write_all = false;    // Also what has the right hash already.
  bool verify_only = false;  // Writes nothing.
  bool reboot = true;
};

// Errors: invalid_argument (no images, an image without bytes, a name or hash that is none).
[[nodiscard]] Result<std::unique_ptr<Driver>> make_fastboot(FastbootPlan plan);

}  // namespace sphere::recovery
