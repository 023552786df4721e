// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

#include "sphere/core/descriptor.h"
#include "sphere/core/result.h"

namespace sphere {

// The Error for a failed system call: "cannot `action` `path`: <strerror>". ENOENT gives not_found
// (local.file-not-found), EACCES and EPERM permission (local.permission), EEXIST exists
// (local.file-exists), ENOSPC and EDQUOT no_space (local.no-space), others io
// (local.file-unreadable).
[[nodiscard]] Error system_error(std::string_view action, const std::filesystem::path& path,
                                 int error_number);

// Reads a whole regular file (or pipe). Errors: not_found, permission, io; too_large if it holds
// more than `limit` bytes, of which at most limit + 1 are read; invalid_argument for a directory.
[[nodiscard]] Result<std::vector<std::byte>> read_file(const std::filesystem::path& path,
                                                       std::size_t limit);
[[nodiscard]] Result<std::string> read_text_file(const std::filesystem::path& path,
                                                 std::size_t limit);

struct WriteOptions {
  mode_t mode = 0644;   // Permission bits of the new file; the umask is not applied.
  bool replace = true;  // false: an existing file is an error (exists).
  bool sync = true;     // false: no fsync; for scratch data only.
};

// A file that appears complete or not at all: written beside its target under a temporary name,
// synced, then renamed. Unless commit() succeeded, the destructor removes the temporary file and
// the target is as it was. What a killed process left beside the target goes with the next
// commit().
class AtomicFile {
 public:
  // Errors: as system_error(); exists when the target is there and may not be replaced.
  [[nodiscard]] static Result<AtomicFile> create(const std::filesystem::path& target,
                                                 WriteOptions options = {});
  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&&) = delete;
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile();

  [[nodiscard]] int descriptor() const noexcept { return descriptor_.get(); }
  [[nodiscard]] const std::filesystem::path& target() const noexcept { return target_; }
  [[nodiscard]] Result<void> write(std::span<const std::byte> bytes);
  // Syncs file and directory and moves the file to its place. Once only, then no further call.
  [[nodiscard]] Result<void> commit();

 private:
  AtomicFile(std::filesystem::path target, std::filesystem::path temporary, Descriptor descriptor,
             WriteOptions options);
  [[nodiscard]] Result<void> finish_commit();

  std::filesystem::path target_;
  std::filesystem::path temporary_;  // Empty while the file has no name, and once committed.
  Descriptor descriptor_;
  WriteOptions options_;
  bool target_was_there_ = true;  // When the file was created.
};

// Flushes what was written to the file systems of the open files `descriptors`, each file system
// once. One result for each descriptor, in order; `name` is for the error.
[[nodiscard]] std::vector<Result<void>> sync_file_systems(std::span<const int> descriptors,
                                                          const std::filesystem::path& name);

// Complete files that become durable together: their file system is flushed once for all of them
// instead of once for each, and only then each is moved to its place.
class FileGroup {
 public:
  // false: nothing is flushed; for scratch data only.
  explicit FileGroup(bool sync = true) : sync_{sync} {}

  // `file` is written and not yet committed; it was created with WriteOptions::sync = false.
  void add(AtomicFile file) { files_.push_back(std::move(file)); }
  [[nodiscard]] std::size_t size() const noexcept { return files_.size(); }
  // One result for each file, in the order of add(). A file that failed leaves its target as it
  // was; the others do not care. The group is empty after it.
  [[nodiscard]] std::vector<Result<void>> commit();

 private:
  [[nodiscard]] std::vector<Result<void>> flush() const;
  void sync_parents(std::vector<Result<void>>& results) const;

  std::vector<AtomicFile> files_;
  bool sync_;
};

[[nodiscard]] Result<void> write_file(const std::filesystem::path& path,
                                      std::span<const std::byte> bytes, WriteOptions options = {});
[[nodiscard]] Result<void> write_file(const std::filesystem::path& path, std::string_view text,
                                      WriteOptions options = {});

// Writes all bytes to a descriptor, going on after short writes and EINTR. `name` is for the error.
[[nodiscard]] Result<void> write_all(int descriptor, std::span<const std::byte> bytes,
                                     const std::filesystem::path& name);

// Makes a rename or unlink in `directory` durable.
[[nodiscard]] Result<void> sync_directory(const std::filesystem::path& directory);

// Makes `path` and its missing parents with `mode`. An existing directory is fine.
[[nodiscard]] Result<void> make_directories(const std::filesystem::path& path, mode_t mode = 0755);

// `path` from the root, without "." and "..". Error: not_found when it is relative and the current
// directory was removed.
[[nodiscard]] Result<std::filesystem::path> absolute_path(const std::filesystem::path& path);

// Puts the complete directory `source` at `target` on the same file system. An absent target
// appears at once. One that is there must be empty; it stays the same directory, as it may be the
// current one of a shell, and gets the entries of `source`. After an error both are as they were.
[[nodiscard]] Result<void> move_directory(const std::filesystem::path& source,
                                          const std::filesystem::path& target);

// Removes a file or a whole tree without following symbolic links; nothing there is success.
[[nodiscard]] Result<void> remove_tree(const std::filesystem::path& path);

// A directory of its own, 0700, removed with its content at the end.
class TemporaryDirectory {
 public:
  [[nodiscard]] static Result<TemporaryDirectory> create(std::string_view prefix = "sphere");
  TemporaryDirectory(TemporaryDirectory&& other) noexcept;
  TemporaryDirectory& operator=(TemporaryDirectory&&) = delete;
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory();

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

 private:
  explicit TemporaryDirectory(std::filesystem::path path) : path_{std::move(path)} {}
  std::filesystem::path path_;
};

// An advisory lock (flock) on a file, made if missing; ends with this object or the process.
class FileLock {
 public:
  // Errors: busy at once if another open file description holds it; else as system_error().
  [[nodiscard]] static Result<FileLock> try_acquire(const std::filesystem::path& path);
  [[nodiscard]] int descriptor() const noexcept { return descriptor_.get(); }

 private:
  explicit FileLock(Descriptor descriptor) : descriptor_{std::move(descriptor)} {}
  Descriptor descriptor_;
};

}  // namespace sphere
