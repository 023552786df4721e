// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sphere/core/descriptor.h"
#include "sphere/core/result.h"
#include "sphere/crypto/digest.h"
#include "sphere/image/block_io.h"

namespace sphere::recovery {

inline constexpr std::size_t kSetEntries = 256;
inline constexpr std::uint64_t kSetBytes = std::uint64_t{4} * 1024 * 1024 * 1024;

// The files of a recovery set, from a directory or a zip archive. Each is opened and hashed once
// and then read from the same descriptor: what was checked is what is sent. A folder in which all
// files stand is stepped into. Refused: other folders, symbolic links, names with other characters
// than v2::is_file_name() takes, a name twice, more than kSetEntries files, more than kSetBytes,
// and in archives also encryption, methods other than stored and deflated, Zip64, and content that
// does not have the size or check sum of its head. Hidden files of a directory are left out.
class FileSet {
 public:
  struct File {
    std::string name;
    std::uint64_t size = 0;
    crypto::Sha256Digest sha256 = {};
  };

  // Errors: not_found; invalid_argument, corrupt, too_large (recovery.image-refused); as
  // system_error().
  [[nodiscard]] static Result<FileSet> open(const std::filesystem::path& path);

  // By name.
  [[nodiscard]] const std::vector<File>& files() const { return files_; }
  [[nodiscard]] const File* find(std::string_view name) const;
  [[nodiscard]] std::uint64_t total_size() const;
  // Of all names, sizes and digests: changes when anything in the set does.
  [[nodiscard]] crypto::Sha256Digest digest() const;
  // Reads exactly `bytes`. Errors: not_found, io (also when the file changed meanwhile).
  [[nodiscard]] Result<void> read(std::string_view name, std::uint64_t offset,
                                  std::span<std::byte> bytes) const;
  // The same as a source; ends with the set.
  [[nodiscard]] std::shared_ptr<const image::BlockSource> source(std::string_view name) const;

  // Adds a file that is no part of the set's digest (a capability file of the user's).
  [[nodiscard]] Result<void> add(std::string name, const std::filesystem::path& path,
                                 std::uint64_t limit);

 private:
  [[nodiscard]] Result<void> take(std::string name, Descriptor descriptor);
  [[nodiscard]] static Result<FileSet> from_directory(const std::filesystem::path& path);
  [[nodiscard]] static Result<FileSet> from_zip(const std::filesystem::path& path);

  std::vector<File> files_;              // Sorted.
  std::vector<Descriptor> descriptors_;  // In the same order.
};

}  // namespace sphere::recovery
