// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "sphere/core/result.h"

namespace sphere::image {

// What lies beside a package while its end is overwritten in place: the bytes of before and after,
// so that whoever finds it can tell how far the writer came, and finish. Integers little-endian.
//
//   0        8  "SPHTAIL" and version 1
//   8        8  inode number of the file
//   16       8  its size
//   24       8  offset of the bytes
//   32       4  n, their number, 1 to kMaxTail
//   36       4  0
//   40       n  the bytes before
//   40 + n   n  the bytes after
//   40 + 2n  32 SHA-256 of all of the above
struct TailRecord {
  std::uint64_t inode = 0;
  std::uint64_t file_size = 0;
  std::uint64_t offset = 0;
  std::vector<std::byte> before;
  std::vector<std::byte> after;  // As many.
};

inline constexpr std::size_t kMaxTail = std::size_t{256} * 1024;  // Metadata block and signature.
inline constexpr std::size_t kMaxTailRecord = 40 + 2 * kMaxTail + 32;

[[nodiscard]] std::vector<std::byte> write_tail_record(const TailRecord& record);

// Errors: corrupt for bytes that write_tail_record() did not give; unsupported for another version.
[[nodiscard]] Result<TailRecord> read_tail_record(std::span<const std::byte> bytes);

}  // namespace sphere::image
