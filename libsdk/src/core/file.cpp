// SPDX-License-Identifier: MIT
#include "sphere/core/file.h"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <sys/file.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "libsdk/src/core/aside.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/result.h"

namespace sphere {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kReadSize = std::size_t{256} * 1024;  // Best from the page cache.
constexpr std::size_t kFirstRead = 4096;  // Of files that tell no size, as /proc's.

std::string error_text(int number) {
  return std::error_code{number, std::generic_category()}.message();
}

tl::unexpected<Error> failed(std::string_view action, const fs::path& path, int number) {
  return tl::unexpected<Error>{system_error(action, path, number)};
}

struct OpenFile {
  Descriptor descriptor;
  std::size_t size = 0;  // As its file system tells; 0 for /proc and pipes.
};

Result<OpenFile> open_for_reading(const fs::path& path) {
  Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (!file) {
    return failed("open", path, errno);
  }
  struct stat status = {};
  if (::fstat(file.get(), &status) != 0) {
    return failed("read", path, errno);
  }
  if (S_ISDIR(status.st_mode)) {
    return fail(Errc::invalid_argument, fmt::format("{} is a directory, not a file", path.string()),
                {.reason = "local.file-unreadable", .value = path.string()});
  }
  return OpenFile{.descriptor = std::move(file),
                  .size = status.st_size > 0 ? static_cast<std::size_t>(status.st_size) : 0};
}

// Appends at most limit + 1 bytes of `path` to `content`.
template <typename Container>
Result<Container> read_whole(const fs::path& path, std::size_t limit) {
  SPHERE_TRY_ASSIGN(const auto file, open_for_reading(path));
  Container content;
  std::size_t filled = 0;
  std::size_t wish = std::max(file.size + 1, kFirstRead);
  while (true) {
    const std::size_t room = std::min({wish, kReadSize, limit + 1 - filled});
    content.resize(filled + room);
    const auto free_part = std::span{content}.subspan(filled);
    const auto count = ::read(file.descriptor.get(), free_part.data(), free_part.size());
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count < 0) {
      return failed("read", path, errno);
    }
    filled += static_cast<std::size_t>(count);
    wish = std::max(filled, kFirstRead);
    if (count == 0) {
      content.resize(filled);
      return content;
    }
    if (filled > limit) {
      return fail(Errc::too_large, fmt::format("{} is larger than {} bytes", path.string(), limit),
                  {.reason = "local.file-unreadable", .value = path.string()});
    }
  }
}

fs::path parent_of(const fs::path& path) {
  const auto parent = path.parent_path();
  return parent.empty() ? fs::path{"."} : parent;
}

}  // namespace

Error system_error(std::string_view action, const fs::path& path, int error_number) {
  Errc code = Errc::io;
  std::string_view reason = "local.file-unreadable";
  std::string_view next;
  switch (error_number) {
    case ENOENT:
    case ENOTDIR:
      code = Errc::not_found;
      reason = "local.file-not-found";
      next = "check the path";
      break;
    case EACCES:
    case EPERM:
    case EROFS:
      code = Errc::permission;
      reason = "local.permission";
      next = "check its owner and permissions";
      break;
    case EEXIST:
      code = Errc::exists;
      reason = "local.file-exists";
      break;
    case ENOSPC:
    case EDQUOT:
      code = Errc::no_space;
      reason = "local.no-space";
      next = "free some space there";
      break;
    case EIO:
      next = "check the disk; the kernel's log says more: dmesg";
      break;
    default:
      break;
  }
  return Error{code,
               fmt::format("cannot {} {}: {}", action, path.string(), error_text(error_number)),
               {.reason = reason, .value = path.string(), .next = std::string{next}}};
}

Result<std::vector<std::byte>> read_file(const fs::path& path, std::size_t limit) {
  return read_whole<std::vector<std::byte>>(path, limit);
}

Result<std::string> read_text_file(const fs::path& path, std::size_t limit) {
  return read_whole<std::string>(path, limit);
}

AtomicFile::AtomicFile(fs::path target, fs::path temporary, Descriptor descriptor,
                       WriteOptions options)
    : target_{std::move(target)},
      temporary_{std::move(temporary)},
      descriptor_{std::move(descriptor)},
      options_{options} {}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : target_{std::move(other.target_)},
      temporary_{std::exchange(other.temporary_, {})},
      descriptor_{std::move(other.descriptor_)},
      options_{other.options_},
      target_was_there_{other.target_was_there_} {}

AtomicFile::~AtomicFile() {
  if (!temporary_.empty()) {
    ::unlink(temporary_.c_str());
  }
}

Result<AtomicFile> AtomicFile::create(const fs::path& target, WriteOptions options) {
  struct stat status = {};
  const bool is_there = ::lstat(target.c_str(), &status) == 0;
  if (is_there) {
    if (S_ISDIR(status.st_mode)) {
      return failed("write", target, EISDIR);
    }
    if (!options.replace) {
      return failed("write", target, EEXIST);
    }
  }
  // Also behind a link: replacing /dev/stdout or a pipe would take it away from everybody.
  if (is_there && ::stat(target.c_str(), &status) == 0 && !S_ISREG(status.st_mode) &&
      !S_ISDIR(status.st_mode)) {
    return fail(
        Errc::invalid_argument,
        fmt::format("{} is a device, pipe or socket, not a file", target.string()),
        {.reason = "local.file-exists", .value = target.string(), .next = "name a file to write"});
  }
  // A file without a name leaves nothing behind, whenever this process dies.
  Descriptor file{::open(parent_of(target).c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)};
  fs::path temporary;
  if (!file && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL)) {
    SPHERE_TRY_ASSIGN(auto aside, create_aside(target));
    file = std::move(aside.descriptor);
    temporary = std::move(aside.path);
  }
  if (!file) {
    return failed("write", target, errno);
  }
  AtomicFile result{target, temporary, std::move(file), options};
  result.target_was_there_ = is_there;
  if (::fchmod(result.descriptor(), options.mode) != 0) {
    return failed("write", target, errno);
  }
  return result;
}

Result<void> AtomicFile::write(std::span<const std::byte> bytes) {
  return write_all(descriptor(), bytes, target_);
}

Result<void> AtomicFile::commit() {
  if (options_.sync && ::fsync(descriptor()) != 0) {
    return failed("write", target_, errno);
  }
  remove_left_over(target_);
  if (temporary_.empty() && (!options_.replace || !target_was_there_)) {
    // Its own name at once: no instant at which a temporary one could be left behind.
    auto linked = link_file(descriptor(), target_, target_);
    if (linked) {
      return finish_commit();
    }
    if (!options_.replace || linked.error().code() != Errc::exists) {
      return linked;
    }
  }
  if (temporary_.empty()) {
    SPHERE_TRY_ASSIGN(temporary_, name_aside(descriptor(), target_));
  }
  // Without RENAME_NOREPLACE a file that appeared since create() would be lost.
  const unsigned flags = options_.replace ? 0 : RENAME_NOREPLACE;
  if (::renameat2(AT_FDCWD, temporary_.c_str(), AT_FDCWD, target_.c_str(), flags) != 0) {
    return failed("write", target_, errno);
  }
  temporary_.clear();
  return finish_commit();
}

Result<void> AtomicFile::finish_commit() {
  descriptor_.reset();
  if (options_.sync) {
    return sync_directory(parent_of(target_));
  }
  return {};
}

std::vector<Result<void>> sync_file_systems(std::span<const int> descriptors,
                                            const fs::path& name) {
  std::vector<Result<void>> results(descriptors.size());
  std::map<dev_t, Result<void>> done;
  for (std::size_t i = 0; i < descriptors.size(); ++i) {
    struct stat status = {};
    if (::fstat(descriptors[i], &status) != 0) {
      results[i] = failed("write", name, errno);
      continue;
    }
    auto found = done.find(status.st_dev);
    if (found == done.end()) {
      Result<void> result;
      if (::syncfs(descriptors[i]) != 0) {
        result = failed("write", name, errno);
      }
      found = done.emplace(status.st_dev, std::move(result)).first;
    }
    results[i] = found->second;
  }
  return results;
}

std::vector<Result<void>> FileGroup::flush() const {
  if (!sync_ || files_.empty()) {
    return std::vector<Result<void>>(files_.size());
  }
  std::vector<int> descriptors;
  for (const AtomicFile& file : files_) {
    descriptors.push_back(file.descriptor());
  }
  return sync_file_systems(descriptors, files_.front().target());
}

// Makes the names of the committed files durable.
void FileGroup::sync_parents(std::vector<Result<void>>& results) const {
  std::map<fs::path, Result<void>> done;
  for (std::size_t i = 0; i < files_.size(); ++i) {
    if (!results[i]) {
      continue;
    }
    const auto parent = parent_of(files_[i].target());
    auto found = done.find(parent);
    if (found == done.end()) {
      found = done.emplace(parent, sync_directory(parent)).first;
    }
    results[i] = found->second;
  }
}

std::vector<Result<void>> FileGroup::commit() {
  auto results = flush();
  for (std::size_t i = 0; i < files_.size(); ++i) {
    if (results[i]) {
      results[i] = files_[i].commit();
    }
  }
  if (sync_) {
    sync_parents(results);
  }
  files_.clear();
  return results;
}

Result<void> write_file(const fs::path& path, std::span<const std::byte> bytes,
                        WriteOptions options) {
  SPHERE_TRY_ASSIGN(auto file, AtomicFile::create(path, options));
  SPHERE_TRY(file.write(bytes));
  return file.commit();
}

Result<void> write_file(const fs::path& path, std::string_view text, WriteOptions options) {
  return write_file(path, std::as_bytes(std::span{text}), options);
}

Result<void> write_all(int descriptor, std::span<const std::byte> bytes, const fs::path& name) {
  while (!bytes.empty()) {
    const auto count = ::write(descriptor, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count < 0) {
      return failed("write", name, errno);
    }
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return {};
}

Result<void> sync_directory(const fs::path& directory) {
  const Descriptor folder{::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (!folder) {
    return failed("open", directory, errno);
  }
  // Some file systems cannot sync a directory and say EINVAL; there is nothing better to do there.
  if (::fsync(folder.get()) != 0 && errno != EINVAL) {
    return failed("write", directory, errno);
  }
  return {};
}

Result<void> make_directories(const fs::path& path, mode_t mode) {
  fs::path made;
  for (const auto& part : path) {
    made /= part;
    if (made.empty() || ::mkdir(made.c_str(), mode) == 0) {
      continue;
    }
    const int number = errno;
    std::error_code ignored;
    if (!fs::is_directory(made, ignored)) {
      return failed("create directory", made, number == EEXIST ? ENOTDIR : number);
    }
  }
  return {};
}

Result<fs::path> absolute_path(const fs::path& path) {
  std::error_code error;
  auto absolute = fs::absolute(path.empty() ? fs::path{"."} : path, error);
  if (error) {
    return fail(Errc::not_found,
                fmt::format("the current directory, to which {} is relative, is gone",
                            path.empty() ? "." : path.string()),
                {.reason = "local.file-not-found",
                 .value = path.string(),
                 .next = "change to a directory that is there"});
  }
  return absolute.lexically_normal();
}

Result<void> move_directory(const fs::path& source, const fs::path& target) {
  std::error_code error;
  if (!fs::exists(fs::symlink_status(target, error))) {
    if (::rename(source.c_str(), target.c_str()) != 0) {
      return failed("write", target, errno);
    }
    return sync_directory(parent_of(target));
  }
  std::vector<fs::path> names;
  for (fs::directory_iterator entry{source, error}, end; !error && entry != end;
       entry.increment(error)) {
    names.push_back(entry->path().filename());
  }
  if (error) {
    return failed("read", source, error.value());
  }
  for (std::size_t moved = 0; moved < names.size(); ++moved) {
    if (::rename((source / names[moved]).c_str(), (target / names[moved]).c_str()) != 0) {
      const int number = errno;
      while (moved-- > 0) {  // Back, so that nothing has changed.
        fs::rename(target / names[moved], source / names[moved], error);
      }
      return failed("write", target, number);
    }
  }
  fs::remove(source, error);  // Empty now; the caller's own clean-up may do it as well.
  return sync_directory(target);
}

Result<void> remove_tree(const fs::path& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error) {
    return failed("remove", path, error.value());
  }
  return {};
}

Result<TemporaryDirectory> TemporaryDirectory::create(std::string_view prefix) {
  std::error_code error;
  const auto base = fs::temp_directory_path(error);
  auto name = ((error ? fs::path{"/tmp"} : base) / fmt::format("{}.XXXXXX", prefix)).string();
  if (::mkdtemp(name.data()) == nullptr) {
    return failed("create directory", name, errno);
  }
  return TemporaryDirectory{name};
}

TemporaryDirectory::TemporaryDirectory(TemporaryDirectory&& other) noexcept
    : path_{std::exchange(other.path_, {})} {}

TemporaryDirectory::~TemporaryDirectory() {
  if (!path_.empty()) {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
}

Result<FileLock> FileLock::try_acquire(const fs::path& path) {
  Descriptor file{::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)};
  if (!file) {
    return failed("open", path, errno);
  }
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) {
      return fail(Errc::busy, fmt::format("{} is locked by another process", path.string()),
                  {.value = path.string()});
    }
    return failed("lock", path, errno);
  }
  return FileLock{std::move(file)};
}

}  // namespace sphere
