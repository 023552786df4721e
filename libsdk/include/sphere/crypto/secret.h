// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace sphere::crypto {

// Bytes that are wiped when they go. Not copyable, not printable; keep them out of argv, the
// environment and every log line.
class Secret {
 public:
  Secret() = default;
  explicit Secret(std::vector<std::byte> bytes) : bytes_{std::move(bytes)} {}
  Secret(Secret&& other) noexcept;
  Secret& operator=(Secret&& other) noexcept;
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;
  ~Secret();

  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return bytes_; }
  [[nodiscard]] std::string_view text() const noexcept;

 private:
  std::vector<std::byte> bytes_;
};

}  // namespace sphere::crypto
