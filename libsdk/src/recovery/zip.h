// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "sphere/core/result.h"

namespace sphere::recovery {

// The part of the zip format (APPNOTE 6.3) that recovery sets use: one disk, no encryption, stored
// or deflated, no Zip64.
struct ZipEntry {
  std::string name;
  std::uint16_t flags = 0;
  std::uint16_t method = 0;
  std::uint32_t crc = 0;
  std::uint32_t packed_size = 0;
  std::uint32_t size = 0;
  std::uint32_t header = 0;  // Offset of the local head.
  bool is_link = false;

  [[nodiscard]] bool is_directory() const { return name.ends_with('/'); }
};

// Reads exactly the bytes at an offset of the archive.
using ReadAt = std::function<Result<void>(std::uint64_t, std::span<std::byte>)>;

// The entries of an archive of `size` bytes, at most `limit`. Errors: corrupt, unsupported,
// too_large.
[[nodiscard]] Result<std::vector<ZipEntry>> read_zip_directory(const ReadAt& read,
                                                               std::uint64_t size,
                                                               std::size_t limit);

using UseBytes = std::function<Result<void>(std::span<const std::byte>)>;

// Gives the content of an entry to `use` in pieces; never more than its size. Errors: corrupt (not
// of the size or check sum that the directory says), unsupported; those of `use`.
[[nodiscard]] Result<void> extract_zip_entry(const ReadAt& read, std::uint64_t size,
                                             const ZipEntry& entry, const UseBytes& use);

}  // namespace sphere::recovery
