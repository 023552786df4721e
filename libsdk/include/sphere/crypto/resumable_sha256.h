// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "sphere/core/result.h"
#include "sphere/crypto/block_hash.h"
#include "sphere/crypto/digest.h"

namespace sphere::crypto {

// A SHA-256 in the middle of a message, as bytes; integers of the length field little-endian.
//
//   offset size
//   0      8    "sha256", NUL, version 1
//   8      32   the eight state words, big-endian
//   40     8    message bytes so far
//   48     64   those of them that fill no block yet; the rest zero
inline constexpr std::size_t kSavedSha256Size = 112;
using SavedSha256 = std::array<std::byte, kSavedSha256Size>;

// SHA-256 over pieces whose state can be saved and taken up again, in another process too: for
// downloads that go on after a power cut. For public bytes only (see HashEngine). Without that need
// use Sha256.
//
// update() and save() any number of times, then finish() once; anything else is a bug.
class ResumableSha256 {
 public:
  // The engine must outlive this.
  explicit ResumableSha256(const HashEngine& engine);

  // Goes on from a saved state. Whoever can write the state can change the digest: keep it where
  // the bytes themselves are kept, and compare the digest with a signed one as always.
  //
  // Errors: corrupt for bytes that save() did not write; unsupported for another version.
  [[nodiscard]] static Result<ResumableSha256> resume(const HashEngine& engine,
                                                      std::span<const std::byte> saved);

  ResumableSha256& update(std::span<const std::byte> bytes);
  [[nodiscard]] SavedSha256 save() const;
  [[nodiscard]] Sha256Digest finish();

  // Message bytes so far: where to go on reading.
  [[nodiscard]] std::uint64_t length() const noexcept { return length_; }

 private:
  void compress(std::span<const std::byte> blocks);
  [[nodiscard]] std::size_t partial_size() const { return length_ % partial_.size(); }

  const HashEngine* engine_;
  std::array<std::uint32_t, 8> words_;
  std::array<std::byte, 64> partial_ = {};
  std::uint64_t length_ = 0;
};

}  // namespace sphere::crypto
