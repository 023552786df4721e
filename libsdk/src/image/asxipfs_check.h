// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "libsdk/src/image/crc32.h"
#include "sphere/core/result.h"
#include "sphere/image/asxipfs.h"

namespace sphere::image {

inline constexpr std::string_view kUnowned = "a byte that nothing owns is not zero";

// corrupt, naming the first byte that is not zero; `offset` is where `bytes` lie in the body.
[[nodiscard]] Result<void> require_zero(std::span<const std::byte> bytes, std::uint64_t offset,
                                        std::string_view what);

// Where a body has bytes that nothing owns: behind its directory area, the padding of files and
// pages of nobody.
class AsxipfsGaps {
 public:
  explicit AsxipfsGaps(const FileSystem& files);
  // Error corrupt for a byte of a gap that is not zero; `bytes` lie at `offset` of the body.
  [[nodiscard]] Result<void> check(std::span<const std::byte> bytes, std::uint64_t offset) const;

 private:
  struct Gap {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    bool is_padding = false;  // Of a file's last page.
  };
  std::vector<Gap> gaps_;  // In order.
};

// The checks of a body that need all its bytes: CRC, and zeros where nothing has its data. The
// directory area is in memory and counted already; the rest is given in order.
class AsxipfsCheck {
 public:
  explicit AsxipfsCheck(const FileSystem& files);

  // The next bytes of the body, any number of them.
  [[nodiscard]] Result<void> update(std::span<const std::byte> bytes);
  // After the last byte. Errors: corrupt.
  [[nodiscard]] Result<void> finish() const;

 private:
  AsxipfsGaps gaps_;
  std::uint64_t at_ = 0;  // Where the next bytes lie.
  Crc32 crc_;
  std::uint32_t expected_crc_ = 0;
};

// The same for a body whose runs come in any order and from several threads.
class AsxipfsRunCheck {
 public:
  // All runs have `run_size` bytes, but the last may have fewer.
  AsxipfsRunCheck(const FileSystem& files, std::size_t run_size);

  // Each run once, those with the directory area as well. Errors: corrupt.
  [[nodiscard]] Result<void> take(std::uint64_t offset, std::span<const std::byte> run);
  // After all runs. Errors: corrupt.
  [[nodiscard]] Result<void> finish() const;

 private:
  AsxipfsGaps gaps_;
  std::size_t run_size_;
  std::uint64_t body_size_;
  std::uint64_t area_size_;
  Crc32 crc_;  // Of the directory area.
  std::uint32_t expected_crc_;
  std::vector<std::uint32_t> parts_;  // One a run, of its bytes behind the directory area.
};

}  // namespace sphere::image
