// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "sphere/core/descriptor.h"
#include "sphere/core/result.h"

namespace sphere::image {

// The end of a file is about to be overwritten in place. Order of calls: prepare(); sync_record();
// apply(); sync_file(); done. Several changes may be synced together, by sync_file_systems() with
// record_descriptor() and then with file_descriptor(). A process that dies in between leaves a
// record beside the file, from which finish_tail_change() makes the old or the new file. The record
// is locked as long as this lives.
class TailChange {
 public:
  // Behind symbolic links. `before` is what the file is expected to end with from `offset` on.
  // Errors: as system_error(); busy when another process changes the file; io when it does not end
  // so any more.
  [[nodiscard]] static Result<TailChange> prepare(const std::filesystem::path& path,
                                                  std::uint64_t offset,
                                                  std::span<const std::byte> before,
                                                  std::vector<std::byte> after);
  TailChange(TailChange&&) noexcept;
  TailChange& operator=(TailChange&&) = delete;
  TailChange(const TailChange&) = delete;
  TailChange& operator=(const TailChange&) = delete;
  // Removes the record, unless the file was left half written.
  ~TailChange();

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }
  [[nodiscard]] int record_descriptor() const noexcept { return record_.get(); }
  [[nodiscard]] int file_descriptor() const noexcept { return file_.get(); }
  // Errors: as system_error(); the record stays then.
  [[nodiscard]] Result<void> apply();
  [[nodiscard]] Result<void> sync_record() const;
  [[nodiscard]] Result<void> sync_file() const;

 private:
  TailChange(std::filesystem::path path, Descriptor file, std::uint64_t offset,
             std::vector<std::byte> after);

  std::filesystem::path path_;  // Of the file itself.
  std::filesystem::path record_path_;
  Descriptor file_;
  Descriptor record_;
  std::uint64_t offset_;
  std::vector<std::byte> after_;
  bool is_half_written_ = false;
};

// Finishes a change of `path` that a process did not live to finish. Nothing to do is success, and
// costs two system calls. Errors: busy while another process changes the file; permission when the
// file must be written and may not; io.
[[nodiscard]] Result<void> finish_tail_change(const std::filesystem::path& path);

// Where the record of a change of `path` lies: ".NAME.signing" beside it.
[[nodiscard]] std::filesystem::path tail_record_path(const std::filesystem::path& path);

}  // namespace sphere::image
