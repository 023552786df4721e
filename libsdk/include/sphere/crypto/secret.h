// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "sphere/core/result.h"

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

  // For the function that fills it. shorten() wipes what it cuts off; `size` <= bytes().size().
  [[nodiscard]] std::span<std::byte> writable() noexcept { return bytes_; }
  void shorten(std::size_t size) noexcept;
  // Another owner of the same bytes, wiped on its own.
  [[nodiscard]] Secret clone() const { return Secret{bytes_}; }

 private:
  std::vector<std::byte> bytes_;
};

// Reads a file of at most 64 KiB that only its owner may read. Errors: those of system_error();
// permission when the group or others may read it (key.refused; next: chmod 600); too_large.
[[nodiscard]] Result<Secret> read_private_text(const std::filesystem::path& path);

}  // namespace sphere::crypto
