// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>

#include "sphere/core/descriptor.h"
#include "sphere/core/result.h"

// Names beside a target, ".target.sphere-0" and so on, under which files wait to be moved to it.
// Who has such a file holds a lock (flock) on it, and only who holds the lock removes or renames
// it. The kernel drops the lock of a process that dies, so a file without one is left over and may
// go.
namespace sphere {

struct FileAside {
  Descriptor descriptor;  // Locked, for reading and writing, mode 0600.
  std::filesystem::path path;
};

// Makes a file aside, for file systems without O_TMPFILE. Error: as system_error(), for `target`.
[[nodiscard]] Result<FileAside> create_aside(const std::filesystem::path& target);

// Locks an unnamed file (O_TMPFILE) and gives it a name aside. Error: as create_aside().
[[nodiscard]] Result<std::filesystem::path> name_aside(int descriptor,
                                                       const std::filesystem::path& target);

// Removes what dead processes left beside `target`. What cannot be removed stays.
void remove_left_over(const std::filesystem::path& target);

// Gives an unnamed file (O_TMPFILE) the name `name`. Error: exists; others name `target`.
[[nodiscard]] Result<void> link_file(int descriptor, const std::filesystem::path& name,
                                     const std::filesystem::path& target);

}  // namespace sphere
