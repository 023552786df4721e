// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sphere/core/result.h"
#include "sphere/image/block_io.h"

namespace sphere::image {

// ASXipFS, the body of an application: a cramfs variant without compression, whose files start on a
// page so that they can be executed in place. All integers are little-endian.
//
//   0        superblock, 76 bytes
//   76       directory entries, zero-padded to a multiple of 4096
//   4096 k   data of the files, each starting on a page and zero-padded to one
//
//   superblock  0  4  magic 0x28CD3D45
//               4  4  size of the body, a multiple of 4096
//               8  4  flags, 3
//              12  4  0
//              16 16  "Compressed ROMFS"
//              32  4  CRC-32 of the body with this field as 0
//              36  4  edition, 0
//              40  4  blocks, 0
//              44  4  number of inodes, the root included
//              48 16  "Compressed"
//              64 12  root inode
//
//   inode       0  2  mode: 0040755 directory; 0101644 file, 0101755 executable file (01000: XIP)
//               2  2  uid, 0
//               4  3  size in bytes; of a directory, of its entries
//               7  1  gid, 0
//               8  4  bits 0-5: name length / 4; bits 6-31: offset / 4
//              12     name, NUL-padded to a multiple of 4; the root has none
//
// The entries of a directory are contiguous and sorted by the bytes of their names. An empty file
// and an empty directory have size and offset 0.
inline constexpr std::size_t kPageSize = 4096;
inline constexpr std::uint32_t kMaxInodes = 4096;
inline constexpr std::size_t kMaxFileBytes = 0xFFFFFF;  // The size field has 24 bits.
inline constexpr std::size_t kMaxNameBytes = 252;
inline constexpr std::size_t kMaxPathBytes = 1023;
inline constexpr std::size_t kMaxDepth = 16;  // Directories above a file.
// Superblock, and kMaxInodes entries with the longest names, in whole pages.
inline constexpr std::size_t kMaxDirectoryBytes = 1'085'440;
inline constexpr std::size_t kMaxBodyBytes = std::size_t{256} * 1024 * 1024;

// One file of an image. `path` is relative ("bin/app"), '/'-separated, without "." and "..".
struct FileEntry {
  std::string path;
  bool executable = false;   // Mode 0755, else 0644.
  std::uint64_t offset = 0;  // In the body; 0 for an empty file.
  std::size_t size = 0;
};

struct DirectoryEntry {
  std::string path;
};

// The directories of an ASXipFS body, and where to read its files. Copies share the source.
struct FileSystem {
  std::shared_ptr<const BlockSource> body;
  std::uint64_t body_size = 0;
  // The first pages of the body, superblock and directories: the bytes that were parsed.
  std::shared_ptr<const std::vector<std::byte>> directory_area;
  std::uint32_t inode_count = 0;            // The root included.
  std::uint32_t crc = 0;                    // As the superblock says.
  std::vector<FileEntry> files;             // Depth first in name order.
  std::vector<DirectoryEntry> directories;  // Without the root; parents before children.

  [[nodiscard]] const FileEntry* find(std::string_view path) const;  // Leading '/' allowed.
};

// Reads and checks the directories of a body of `size` bytes at the front of `body`. What files it
// gives lie inside the body and apart from each other; their bytes, the CRC and the padding have
// not been looked at (see check_asxipfs()). Reads at most kMaxDirectoryBytes.
//
// Errors, each naming part, offset and value: corrupt for a wrong superblock; anything but regular
// files and directories, or another mode, uid or gid; a name that is empty, "." or "..", too long,
// not UTF-8, not in ascending order, or holds '/', NUL or control characters; a directory outside
// the directory area, met twice or not filled exactly by its entries; bytes of the directory area
// that belong to nothing and are not zero; data that is not on a page, lies among the directories,
// outside the body or in another file; a wrong number of inodes. unsupported for other flags.
// too_large for more than kMaxInodes, kMaxDepth or kMaxPathBytes.
[[nodiscard]] Result<FileSystem> open_asxipfs(std::shared_ptr<const BlockSource> body,
                                              std::uint64_t size);

// Reads the whole body once and checks its CRC and that every byte that belongs to nothing is zero.
// Errors: corrupt, those of the source.
[[nodiscard]] Result<void> check_asxipfs(const FileSystem& files);

// open_asxipfs() and check_asxipfs() for a body in memory, which must outlive the result.
[[nodiscard]] Result<FileSystem> read_asxipfs(std::span<const std::byte> body);

// The bytes of one file: where they lie, for a body in memory, which must then outlive this; else a
// copy.
class FileContent {
 public:
  explicit FileContent(std::span<const std::byte> bytes) : bytes_{bytes} {}
  explicit FileContent(std::vector<std::byte> copy) : copy_{std::move(copy)}, bytes_{copy_} {}
  FileContent(FileContent&&) noexcept = default;
  FileContent& operator=(FileContent&&) noexcept = default;
  FileContent(const FileContent&) = delete;
  FileContent& operator=(const FileContent&) = delete;
  ~FileContent() = default;

  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return bytes_; }

 private:
  std::vector<std::byte> copy_;
  std::span<const std::byte> bytes_;
};

// At most kMaxFileBytes of memory. Errors: those of the source.
[[nodiscard]] Result<FileContent> read_file_content(const FileSystem& files, const FileEntry& file);

// Gives the bytes of one file in order to `use`, in pieces of at most kReadBytes; stops at its
// first error. For content that need not be in memory at once.
[[nodiscard]] Result<void> stream_file_content(const FileSystem& files, const FileEntry& file,
                                               const UseBytes& use);

struct FileSource {
  std::vector<std::byte> content;
  bool executable = false;
};

// Builds a body from path -> content; paths as in FileEntry. Empty directories cannot be named this
// way and are not written. The result depends on names, contents and executable bits alone.
// `spare` bytes can be appended to it without a copy. Errors: invalid_argument (a path: not a name
// as read_asxipfs() takes it, or a file that is also a directory), too_large (the limits above).
[[nodiscard]] Result<std::vector<std::byte>> write_asxipfs(
    const std::map<std::string, FileSource>& files, std::size_t spare = 0);

// Whether `name` can be one part of a path in an image.
[[nodiscard]] bool is_valid_name(std::string_view name);

}  // namespace sphere::image
