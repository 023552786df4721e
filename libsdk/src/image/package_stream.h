// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "libsdk/src/image/asxipfs_check.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/crypto/block_hash.h"
#include "sphere/image/package.h"

namespace sphere::image {

// Buffers of one thread, lent to the streams that are being read.
class StreamBuffers {
 public:
  static constexpr std::size_t kSize = std::size_t{32} * 1024;  // 16 of them stay in the L2 cache.

  [[nodiscard]] std::vector<std::byte> take();
  void give_back(std::vector<std::byte> buffer);

 private:
  std::vector<std::vector<std::byte>> free_;
};

// The bytes that a v1 signature covers, in one pass over a package of any size: directories, body,
// metadata. On the way it makes the checks of check_body(), and writes the pieces to a file.
class PackageStream final : public crypto::MessageStream {
 public:
  // `tail` is the metadata block that the package is to end with, without signature. `output` may
  // be null. All must outlive this.
  PackageStream(const Package& package, std::span<const std::byte> tail, AtomicFile* output,
                StreamBuffers& buffers);
  PackageStream(const PackageStream&) = delete;
  PackageStream& operator=(const PackageStream&) = delete;
  PackageStream(PackageStream&&) = delete;
  PackageStream& operator=(PackageStream&&) = delete;
  ~PackageStream() override;

  [[nodiscard]] Result<std::span<const std::byte>> next() override;

 private:
  [[nodiscard]] Result<std::span<const std::byte>> body_piece(std::size_t size);
  [[nodiscard]] Result<std::span<const std::byte>> last_piece();
  [[nodiscard]] Result<std::span<const std::byte>> pass_on(std::span<const std::byte> piece);

  const Package* package_;
  std::span<const std::byte> tail_;
  AtomicFile* output_;
  StreamBuffers* buffers_;
  std::vector<std::byte> buffer_;
  std::optional<AsxipfsCheck> check_;
  std::uint64_t at_ = 0;
  bool is_done_ = false;
};

}  // namespace sphere::image
