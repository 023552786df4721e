// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>

#include "sphere/crypto/digest.h"
#include "sphere/recovery/driver.h"
#include "sphere/recovery/manifest_v4.h"
#include "sphere/recovery/v3_messages.h"

namespace sphere::recovery {

struct SphereV3Config {
  ManifestV4 manifest;  // Checked: its signature, and that all of its files are there and right.
  crypto::Sha256Digest manifest_sha256 = {};  // Of the file, with metadata and signature.
  std::uint64_t manifest_size = 0;
  struct Capability {
    std::uint64_t size = 0;
    crypto::Sha256Digest sha256 = {};
  };
  std::optional<Capability> capability = {};  // Of kCapabilityFile.
  v3::Mode mode = v3::Mode::write_changed;
  bool keep_data = false;           // Apps and their data stay.
  std::uint32_t fastest = 3000000;  // Baud, of those that the board offers.
  std::uint8_t log_level = 2;       // 0 off to 4.
  bool asks_for_bytes = false;      // USB bulk: with ReadBulk. Streams are read all the time.
  Time enter_limit = std::chrono::seconds{10};  // To the board's first sign. A person needs longer.
};

// The client of Sphere recovery v3 (docs/protocols/recovery-v3.md). The device leads; the client
// serves the manifest and the images that it asks for, once it has seen that the set is for this
// board and not older than the board allows. Not yet tried on hardware.
//
// Limits: enter_limit to the board's first sign, 3 tries; 3 s from the answer to its first message;
// then max(5 s, twice what the board promised) without a frame. What breaks a session - silence, a
// restart of the board, an error of the transfer - begins a new one, at most 5 times; what was
// written stays.
[[nodiscard]] std::unique_ptr<Driver> make_sphere_v3(SphereV3Config config);

}  // namespace sphere::recovery
