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
  // Bytes that must be zero.
  struct Gap {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    bool is_padding = false;  // Of a file's last page.
  };

  std::vector<Gap> gaps_;  // In order.
  std::size_t next_gap_ = 0;
  std::uint64_t at_ = 0;  // Where the next bytes lie.
  Crc32 crc_;
  std::uint32_t expected_crc_ = 0;
};

}  // namespace sphere::image
