// SPDX-License-Identifier: MIT
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <linux/openat2.h>
#include <span>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <system_error>
#include <unistd.h>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "sphere/core/descriptor.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/image/asxipfs.h"
#include "sphere/image/pack.h"
#include "sphere/image/package.h"

namespace sphere::image {
namespace fs = std::filesystem;
namespace {

// Removes the directory with its content, unless it was kept.
class Scratch {
 public:
  explicit Scratch(fs::path path) : path_{std::move(path)} {}
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  Scratch(Scratch&&) = delete;
  Scratch& operator=(Scratch&&) = delete;
  ~Scratch() {
    if (!path_.empty()) {
      // NOLINTNEXTLINE(bugprone-unused-return-value): a destructor has nobody to tell.
      static_cast<void>(remove_tree(path_));
    }
  }
  [[nodiscard]] const fs::path& path() const noexcept { return path_; }
  void keep() { path_.clear(); }

 private:
  fs::path path_;
};

tl::unexpected<Error> failed(std::string_view action, const fs::path& path, int number) {
  return tl::make_unexpected(system_error(action, path, number));
}

// Opens `path` below `root`; the kernel refuses every way out of it.
Descriptor open_beneath(int root, const std::string& path, int flags, mode_t mode) {
  open_how how = {};
  how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC);
  how.mode = (flags & O_CREAT) != 0 ? mode : 0;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  return Descriptor{static_cast<int>(::syscall(SYS_openat2, root, path.c_str(), &how, sizeof how))};
}

Result<void> make_directory(int root, const std::string& path) {
  const auto slash = path.rfind('/');
  const auto parent = slash == std::string::npos ? "." : path.substr(0, slash);
  const auto name = slash == std::string::npos ? path : path.substr(slash + 1);
  const auto folder = open_beneath(root, parent, O_PATH | O_DIRECTORY, 0);
  if (!folder || ::mkdirat(folder.get(), name.c_str(), 0755) != 0 ||
      ::fchmodat(folder.get(), name.c_str(), 0755, 0) != 0) {
    return failed("create directory", path, errno);
  }
  return {};
}

Result<void> write_entry(int root, const FileSystem& files, const FileEntry& file) {
  const mode_t mode = file.executable ? 0755 : 0644;
  const auto descriptor = open_beneath(root, file.path, O_WRONLY | O_CREAT | O_EXCL, 0600);
  if (!descriptor) {
    return failed("write", file.path, errno);
  }
  SPHERE_TRY(stream_file_content(files, file, [&](std::span<const std::byte> bytes) {
    return write_all(descriptor.get(), bytes, file.path);
  }));
  if (::fchmod(descriptor.get(), mode) != 0 || ::fsync(descriptor.get()) != 0) {
    return failed("write", file.path, errno);
  }
  return {};
}

Result<void> check_target(const fs::path& directory) {
  std::error_code error;
  const auto status = fs::symlink_status(directory, error);
  if (!fs::exists(status)) {
    return {};
  }
  if (fs::is_directory(status) && fs::is_empty(directory, error) && !error) {
    return {};
  }
  return fail(Errc::exists,
              fmt::format("{} exists and is not an empty directory", directory.string()),
              {.reason = "local.file-exists",
               .value = directory.string(),
               .next = "name a directory that does not exist"});
}

Result<void> sync_tree(const Package& package, const fs::path& directory) {
  for (const auto& entry : package.files.directories) {
    SPHERE_TRY(sync_directory(directory / entry.path));
  }
  return sync_directory(directory);
}

Result<void> write_tree(const Package& package, const fs::path& directory) {
  const Descriptor root{::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (!root) {
    return failed("open", directory, errno);
  }
  for (const auto& entry : package.files.directories) {
    SPHERE_TRY(make_directory(root.get(), entry.path));
  }
  for (const auto& file : package.files.files) {
    SPHERE_TRY(write_entry(root.get(), package.files, file));
  }
  if (::fchmod(root.get(), 0755) != 0) {
    return failed("write", directory, errno);
  }
  return sync_tree(package, directory);
}

}  // namespace

Result<std::vector<std::string>> unpack(const Package& package, const fs::path& directory) {
  if (package.files.body == nullptr) {
    SPHERE_TRY(require_application(package));
  }
  auto target = directory;
  if (!target.has_filename()) {
    target = target.parent_path();  // "dir/" and "dir" are one.
  }
  SPHERE_TRY(check_target(target));
  const auto parent = target.has_parent_path() ? target.parent_path() : fs::path{"."};
  auto name = (parent / fmt::format(".{}.XXXXXX", target.filename().string())).string();
  if (::mkdtemp(name.data()) == nullptr) {
    return failed("create directory", target, errno);
  }
  Scratch scratch{name};
  SPHERE_TRY(write_tree(package, scratch.path()));
  SPHERE_TRY(package.source->check_unchanged());
  SPHERE_TRY(move_directory(scratch.path(), target));
  scratch.keep();
  std::vector<std::string> paths;
  paths.reserve(package.files.files.size());
  for (const auto& file : package.files.files) {
    paths.push_back(file.path);
  }
  return paths;
}

}  // namespace sphere::image
