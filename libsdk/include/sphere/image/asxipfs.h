// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sphere/core/result.h"

namespace sphere::image {

// One file of an image. `path` is relative ("bin/app"), '/'-separated, without "." and "..".
struct FileEntry {
  std::string path;
  bool executable = false;             // Mode 0755, else 0644.
  std::size_t offset = 0;              // In the body; 0 for an empty file.
  std::span<const std::byte> content;  // Points into the body.
};

struct DirectoryEntry {
  std::string path;
};

// A parsed ASXipFS body.
struct FileSystem {
  std::uint32_t inode_count = 0;  // The root included.
  std::uint32_t crc = 0;
  std::vector<FileEntry> files;             // In the order of their data.
  std::vector<DirectoryEntry> directories;  // Without the root; parents before children.

  [[nodiscard]] const FileEntry* find(std::string_view path) const;  // Leading '/' allowed.
};

// Reads and checks a whole body. Errors: corrupt, too_large (inodes, depth, path length).
[[nodiscard]] Result<FileSystem> read_asxipfs(std::span<const std::byte> body);

struct FileSource {
  std::vector<std::byte> content;
  bool executable = false;
};

// Builds a body from path -> content; paths as in FileEntry. Empty directories cannot be named this
// way and are not written. Errors: invalid_argument (a path), too_large (the limits of the format).
[[nodiscard]] Result<std::vector<std::byte>> write_asxipfs(
    const std::map<std::string, FileSource>& files);

}  // namespace sphere::image
