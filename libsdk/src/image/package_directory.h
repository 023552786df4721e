// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <ctime>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <sys/types.h>

#include "libsdk/src/image/body_sink.h"
#include "libsdk/src/image/file_stamp.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/result.h"

namespace sphere::image {

// A file that is to be packed, as it was when the directory was listed.
struct ListedFile {
  std::filesystem::path path;
  std::size_t size = 0;
  ino_t inode = 0;
  timespec changed = {};
  FileStamp stamp = {};
};

// Lists the files below `directory`, but an app_manifest.json in it, by their paths in a package.
// Nothing is read. Errors: as pack_application().
[[nodiscard]] Result<std::map<std::string, ListedFile>> list_package_directory(
    const std::filesystem::path& directory);

// Reads `buffer.size()` bytes of a listed file at `offset`. Errors: as system_error(); io when the
// file is another one now.
[[nodiscard]] Result<void> read_listed(const ListedFile& file, std::uint64_t offset,
                                       std::span<std::byte> buffer);

// Where bytes of a listed file go.
struct CopyPlace {
  std::uint64_t from = 0;
  std::size_t size = 0;
  std::uint64_t to = 0;  // In the output.
};
// Has the kernel copy bytes of a listed file to `output`: they do not pass through this process,
// and a file system that can shares them. False: not between these two files; the output may hold a
// part. Errors: as read_listed().
[[nodiscard]] Result<bool> copy_listed(const ListedFile& file, CopyPlace place,
                                       const OutputFile& output);

// A listed file, open for reading front to back. That it is still what was listed is checked when
// it is opened and at its end, so that no package holds two states of a file.
class ListedFileReader {
 public:
  // `file` must outlive this. Errors: as system_error(); io when the file is another one now.
  [[nodiscard]] static Result<ListedFileReader> open(const ListedFile& file);

  // Fills `buffer` with the next bytes; they must be there. Errors: io.
  [[nodiscard]] Result<void> read(std::span<std::byte> buffer);
  // After the last byte. Error: io when the file was changed meanwhile.
  [[nodiscard]] Result<void> finish() const;

 private:
  ListedFileReader(const ListedFile& file, Descriptor descriptor)
      : file_{&file}, descriptor_{std::move(descriptor)} {}
  [[nodiscard]] Result<void> check() const;

  const ListedFile* file_;
  Descriptor descriptor_;
};

}  // namespace sphere::image
