// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sphere/recovery/driver.h"

namespace sphere::recovery {

// The name under which a driver asks for the user's capability file; no file of a set has it.
inline constexpr std::string_view kCapabilityFile = "/capability";

struct SetFile {
  std::string name;
  std::uint64_t size = 0;
};

struct SphereV2Config {
  // All files of the set that a board may ask for: both loaders, the manifest, the images.
  std::vector<SetFile> files;
  std::optional<std::uint64_t> capability_size = {};
  std::uint32_t images = 0;       // That the manifest names.
  std::uint64_t image_bytes = 0;  // Of these.
  bool fast = true;               // 3,000,000 baud while images are sent.
  bool large_blocks = false;      // XMODEM-1K; not yet tried on hardware.
  bool device_log = false;
  // For the board's first byte after a reset. A person needs longer.
  Time enter_limit = std::chrono::seconds{10};
};

// The client of recovery v2, which MT3620 boards speak (docs/protocols/recovery.md). The device
// leads; the client serves the files that it asks for, at these speeds:
//
//   ROM and first loader  115,200 8N1, no flow control; text lines, then XMODEM, then frames
//   runtime               3,000,000 8N1 with RTS/CTS, or 115,200 with RTS/CTS
//
// Limits: 10 s to the board's first sign, 3 tries; 5 s to `+GOOD` and to `[1BL] BOOT:` each; 5 s to
// the first message; 3 s and 3 s after the change of speed; 300 s without a byte while the flash is
// erased; 60 s to the next request otherwise.
[[nodiscard]] std::unique_ptr<Driver> make_sphere_v2(SphereV2Config config);

}  // namespace sphere::recovery
