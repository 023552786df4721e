// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "sphere/core/guid.h"
#include "sphere/core/result.h"
#include "sphere/crypto/digest.h"

namespace sphere::recovery {

// The list of images of a recovery set for one's own boards (sphere.recoverymanifest, version 4).
// Little-endian:
//
//   0   2   version, 4
//   2   2   number of images, 1 to 64
//   4   2   size of this head, 0x40
//   6   2   size of an entry, 0xA0
//   8   8   build date, Unix seconds
//   16  32  board id, ASCII, padded with NUL
//   48  4   security version: a board that has run a higher one refuses the set
//   52  4   0
//   56  8   sum of the sizes of the files
//   64      entries:
//     0   16  image id, GUID in stored order
//     16  16  component id
//     32  2   image type
//     34  2   partition type
//     36  4   bit 0: the board needs it
//     40  8   size of the file, at most 256 MiB
//     48  8   offset in flash; all ones: the board's loader places it
//     56  8   0
//     64  32  SHA-256 of the file
//     96  64  name of the file: [A-Za-z0-9._-], no dot in front, padded with NUL, at most 63
//   then the metadata (image type 26) and signature of every image package
struct ManifestV4 {
  struct Entry {
    Guid image_id = {};
    Guid component_id = {};
    std::uint16_t image_type = 0;
    std::uint16_t partition_type = 0;
    bool required = true;
    std::uint64_t file_size = 0;
    std::uint64_t flash_offset = 0;
    crypto::Sha256Digest sha256 = {};
    std::string file_name = {};
  };

  std::uint64_t build_date = 0;
  std::string board_id = {};
  std::uint32_t security_version = 0;
  std::vector<Entry> entries = {};

  [[nodiscard]] std::uint64_t total_size() const;
};

inline constexpr std::size_t kManifestV4Limit = 64;
inline constexpr std::size_t kManifestV4BoardId = 32;
inline constexpr std::uint64_t kManifestV4FileLimit = std::uint64_t{256} * 1024 * 1024;
inline constexpr std::uint64_t kPlacedByLoader = ~std::uint64_t{0};
inline constexpr std::size_t kManifestV4Size = 0x40 + (kManifestV4Limit * 0xA0);  // Of the body.

// Reads the body of a manifest: all of `body` must be used. Nothing about its signature is checked.
// Errors: corrupt, unsupported (another version), too_large.
[[nodiscard]] Result<ManifestV4> parse_manifest_v4(std::span<const std::byte> body);
// `manifest` keeps the rules above.
[[nodiscard]] std::vector<std::byte> write_manifest_v4(const ManifestV4& manifest);

}  // namespace sphere::recovery
