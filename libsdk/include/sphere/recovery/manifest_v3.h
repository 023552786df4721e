// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "sphere/core/guid.h"
#include "sphere/core/result.h"

namespace sphere::recovery {

// The list of images of an MT3620 recovery set (recovery.imagemanifest, version 3). Little-endian:
//
//   0   2  version, 3
//   2   2  number of images, 1 to 256
//   4   2  size of this head, 0x10
//   6   2  size of an entry, 0x4C
//   8   8  build date, Unix seconds
//   16     entries:
//     0   16  image id, GUID in stored order
//     16  16  component id
//     32  2   image type
//     34  2   partition type
//     36  4   size of the file, at most 64 MiB
//     40  4   size when uncompressed
//     44  16  provides: 2 times u32 version, u32 identity type
//     60  16  depends on: the same
//   then the metadata and signature of every image package
struct ManifestV3 {
  struct Dependency {
    std::uint32_t version = 0;
    std::uint32_t identity_type = 0;

    [[nodiscard]] bool operator==(const Dependency&) const = default;
  };
  struct Entry {
    Guid image_id;
    Guid component_id;
    std::uint16_t image_type = 0;
    std::uint16_t partition_type = 0;
    std::uint32_t file_size = 0;
    std::uint32_t uncompressed_size = 0;
    std::array<Dependency, 2> provides = {};
    std::array<Dependency, 2> depends = {};

    // The image id without hyphens, and ".bin": how the board asks for it.
    [[nodiscard]] std::string file_name() const;
  };

  std::uint64_t build_date = 0;
  std::vector<Entry> entries;

  [[nodiscard]] std::uint64_t total_size() const;
};

inline constexpr std::uint16_t kRecoveryManifestType = 26;  // Image type of a manifest's package.
inline constexpr std::size_t kManifestV3Limit = 256;
inline constexpr std::uint32_t kImageFileLimit = 64 * 1024 * 1024;

// Reads the body of a manifest: all of `body` must be used. Nothing about its signature is checked.
// Errors: corrupt, unsupported (another version), too_large.
[[nodiscard]] Result<ManifestV3> parse_manifest_v3(std::span<const std::byte> body);
[[nodiscard]] std::vector<std::byte> write_manifest_v3(const ManifestV3& manifest);

}  // namespace sphere::recovery
