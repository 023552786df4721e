// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <span>

namespace sphere::crypto {

using Sha256Digest = std::array<std::byte, 32>;
using Sha1Digest = std::array<std::byte, 20>;  // Certificate thumbprints only: a look-up hint.
using Md5Digest = std::array<std::byte, 16>;   // What boot ROMs say of their flash. No security.

[[nodiscard]] Sha256Digest sha256(std::span<const std::byte> bytes);
[[nodiscard]] Sha1Digest sha1(std::span<const std::byte> bytes);
[[nodiscard]] Md5Digest md5(std::span<const std::byte> bytes);

// Hash over pieces: update() any number of times, then finish() once; anything else is a bug.
class Sha256 {
 public:
  Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  ~Sha256();

  Sha256& update(std::span<const std::byte> bytes);
  // The digest of what there was so far; update() can go on.
  [[nodiscard]] Sha256Digest digest_so_far() const;
  [[nodiscard]] Sha256Digest finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Fills `bytes` from the kernel's generator.
void random_bytes(std::span<std::byte> bytes);

}  // namespace sphere::crypto
