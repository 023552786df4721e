// SPDX-License-Identifier: MIT
#include "device-agent/agent/apps/disk.h"

#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <filesystem>
#include <string_view>
#include <unistd.h>

#include <tl/expected.hpp>

#include "sphere/core/descriptor.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"

namespace sphere::agent {
namespace fs = std::filesystem;

Result<void> SystemStoreDisk::place(const fs::path& from, const fs::path& to) {
  const Descriptor file{::open(from.c_str(), O_RDONLY | O_CLOEXEC)};
  if (!file || ::fsync(file.get()) != 0) {
    return tl::unexpected<Error>{system_error("sync", from, errno)};
  }
  if (::rename(from.c_str(), to.c_str()) != 0) {
    return tl::unexpected<Error>{system_error("move", from, errno)};
  }
  return sync_directory(to.parent_path());
}

Result<void> SystemStoreDisk::write(const fs::path& path, std::string_view text) {
  return write_file(path, text, {.mode = 0600});
}

Result<void> SystemStoreDisk::remove(const fs::path& path) { return remove_tree(path); }

}  // namespace sphere::agent
