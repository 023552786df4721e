// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <ctime>
#include <filesystem>
#include <functional>
#include <span>

#include "sphere/core/descriptor.h"
#include "sphere/core/result.h"

namespace sphere::image {

// Bytes that are read at positions: a body, a hash area, a file. Several threads may read at once.
class BlockSource {
 public:
  BlockSource() = default;
  BlockSource(const BlockSource&) = delete;
  BlockSource& operator=(const BlockSource&) = delete;
  BlockSource(BlockSource&&) = delete;
  BlockSource& operator=(BlockSource&&) = delete;
  virtual ~BlockSource() = default;

  // The bytes at `offset`, exactly as many as `buffer` holds: in `buffer`, or where they lie
  // already; valid as long as both. Fewer than asked for are an error.
  [[nodiscard]] virtual Result<std::span<const std::byte>> read(
      std::uint64_t offset, std::span<std::byte> buffer) const = 0;

  // All bytes, where they lie in memory already: then no buffer is needed to read them. Empty for
  // every other source.
  [[nodiscard]] virtual std::span<const std::byte> in_memory() const noexcept { return {}; }

  // After the last read: an error if the bytes may have changed since the source was opened. A
  // source that cannot tell says nothing.
  [[nodiscard]] virtual Result<void> check_unchanged() const { return {}; }
};

// How many bytes a pass over a source reads at once: few enough to stay in the second-level cache.
inline constexpr std::size_t kReadBytes = std::size_t{256} * 1024;

// Takes the next bytes of a pass.
using UseBytes = std::function<Result<void>(std::span<const std::byte>)>;

// Gives the bytes from `begin` to `end` to `use`, in order and in pieces of at most kReadBytes;
// stops at the first error.
[[nodiscard]] Result<void> stream_bytes(const BlockSource& source, std::uint64_t begin,
                                        std::uint64_t end, const UseBytes& use);

// Bytes in memory, which must outlive this. Reading beyond them gives corrupt.
class MemoryBlocks final : public BlockSource {
 public:
  explicit MemoryBlocks(std::span<const std::byte> bytes) : bytes_{bytes} {}
  [[nodiscard]] Result<std::span<const std::byte>> read(std::uint64_t offset,
                                                        std::span<std::byte> buffer) const override;
  [[nodiscard]] std::span<const std::byte> in_memory() const noexcept override { return bytes_; }

 private:
  std::span<const std::byte> bytes_;
};

// A regular file, or the part of it from `start` on.
class FileBlocks final : public BlockSource {
 public:
  // Errors: as system_error(); invalid_argument unless a regular file or block device (a pipe is
  // refused and not waited for).
  [[nodiscard]] static Result<FileBlocks> open(const std::filesystem::path& path,
                                               std::uint64_t start = 0);
  FileBlocks(FileBlocks&& other) noexcept;
  FileBlocks& operator=(FileBlocks&&) = delete;
  FileBlocks(const FileBlocks&) = delete;
  FileBlocks& operator=(const FileBlocks&) = delete;
  ~FileBlocks() override = default;

  // From open(); 0 for a device.
  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }
  // Errors: io; also when the file ends too early, as one that shrinks meanwhile does.
  [[nodiscard]] Result<std::span<const std::byte>> read(std::uint64_t offset,
                                                        std::span<std::byte> buffer) const override;
  // After the last read. Error io if the file's size or time of change is no longer that of open():
  // then what was read may be of two versions.
  [[nodiscard]] Result<void> check_unchanged() const override;

 private:
  struct Stamp {
    std::uint64_t size = 0;
    timespec changed = {};
  };
  FileBlocks(std::filesystem::path path, Descriptor descriptor, std::uint64_t start, Stamp stamp);

  std::filesystem::path path_;
  Descriptor descriptor_;
  std::uint64_t start_;
  std::uint64_t size_;
  Stamp stamp_;
};

}  // namespace sphere::image
