// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <ctime>
#include <filesystem>
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
};

// Bytes in memory, which must outlive this. Reading beyond them gives corrupt.
class MemoryBlocks final : public BlockSource {
 public:
  explicit MemoryBlocks(std::span<const std::byte> bytes) : bytes_{bytes} {}
  [[nodiscard]] Result<std::span<const std::byte>> read(std::uint64_t offset,
                                                        std::span<std::byte> buffer) const override;

 private:
  std::span<const std::byte> bytes_;
};

// A regular file, or the part of it from `start` on.
class FileBlocks final : public BlockSource {
 public:
  // Errors: as system_error(); invalid_argument unless a regular file or block device.
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
  [[nodiscard]] Result<void> check_unchanged() const;

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
