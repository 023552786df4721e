// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "libsdk/src/image/directory_leaves.h"
#include "libsdk/src/image/file_stamp.h"
#include "sphere/core/result.h"
#include "sphere/image/merkle.h"

namespace sphere::image {

// What packing found out about each file, for the next time: a file that is the same by device,
// inode, size and both times is not hashed again. Integers are little-endian.
//
//   0    8   "SPHLEAF1"
//   8    32  salt of the component: a cache with another one belongs to another component
//   40   8   nanoseconds since 1970 when the files began to be read
//   48   4   number of files
//   52       for each: u16 length of its path, the path; u64 device, inode, size; i64 nanoseconds
//            of its modification and its change; u32 CRC-32 of its pages; 32 bytes SHA-256 of its
//            content; 32 bytes for each page of 4096 bytes: its leaf
//   end  32  SHA-256 of everything before
//
// The checksum finds damage. Whoever may write the file may also write the package.
class LeafCache {
 public:
  LeafCache(const MerkleSalt& salt, std::int64_t begun) : salt_{salt}, begun_{begun} {}

  // Errors: corrupt.
  [[nodiscard]] static Result<LeafCache> parse(std::span<const std::byte> bytes);
  [[nodiscard]] std::vector<std::byte> write() const;

  [[nodiscard]] const MerkleSalt& salt() const noexcept { return salt_; }

  // What is known of the file at `path`, unless it may have changed: also one whose times are not
  // before the cache's own, as it may have been written again within one tick of the clock.
  [[nodiscard]] const FileFacts* find(std::string_view path, const FileStamp& stamp) const;
  // What is known of it, changed or not.
  void add(std::string path, const FileStamp& stamp, FileFacts facts);

  [[nodiscard]] std::size_t size() const noexcept { return files_.size(); }

 private:
  struct Entry {
    FileStamp stamp;
    FileFacts facts;
  };
  MerkleSalt salt_;
  std::int64_t begun_;
  std::map<std::string, Entry, std::less<>> files_;
};

// Reads the cache at `path` for a component. One that is not there, damaged or of another component
// is ignored: `note` gets the reason for the latter two.
[[nodiscard]] LeafCache load_leaf_cache(const std::filesystem::path& path, const MerkleSalt& salt,
                                        std::string& note);

// The time that the kernel puts on a file that is written now.
[[nodiscard]] std::int64_t file_clock();

}  // namespace sphere::image
