// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace sphere::image {

// CRC-32 as in zlib, PNG and cramfs: polynomial 0xEDB88320 (reflected), initial and final
// exclusive-or 0xFFFFFFFF.
class Crc32 {
 public:
  Crc32& update(std::span<const std::byte> bytes);
  // As update() with `length` bytes whose own CRC-32 is `value`: parts may be worked on side by
  // side and put together here.
  Crc32& append(std::uint32_t value, std::uint64_t length);
  // As update() with `count` zero bytes.
  Crc32& append_zeros(std::uint64_t count);
  [[nodiscard]] std::uint32_t value() const noexcept { return ~state_; }

 private:
  std::uint32_t state_ = 0xFFFFFFFF;
  // The factor that the last append() needed: parts of a whole are mostly of one length.
  std::uint64_t shift_length_ = 0;
  std::uint32_t shift_ = 0;
};

// One way to compute it. `update` takes and gives the inner state, without the final inversion.
struct Crc32Kernel {
  std::string_view name;
  bool (*supported)();
  std::uint32_t (*update)(std::uint32_t state, std::span<const std::byte> bytes);
};

// All of them, the fastest first; the last is supported everywhere. Crc32 uses the first supported.
[[nodiscard]] std::span<const Crc32Kernel> crc32_kernels();

}  // namespace sphere::image
