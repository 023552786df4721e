// SPDX-License-Identifier: MIT
#include "libsdk/src/core/aside.h"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <fcntl.h>
#include <filesystem>
#include <string>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "sphere/core/descriptor.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"

namespace sphere {
namespace fs = std::filesystem;
namespace {

constexpr int kMaxNames = 100;  // Writers of one target at one time.

fs::path name_of(const fs::path& target, int number) {
  constexpr std::size_t kLongest = 200;  // Of the 255 bytes of a file name.
  return target.parent_path() /
         fmt::format(".{}.sphere-{}", cut_utf8(target.filename().string(), kLongest), number);
}

// Whether `name` leads to the open file.
bool leads_to(const fs::path& name, int descriptor) {
  struct stat named = {};
  struct stat opened = {};
  return ::lstat(name.c_str(), &named) == 0 && ::fstat(descriptor, &opened) == 0 &&
         named.st_dev == opened.st_dev && named.st_ino == opened.st_ino;
}

enum class Removal : std::uint8_t { done, absent, in_use };

Removal remove_one(const fs::path& name) {
  const Descriptor file{::open(name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)};
  if (!file) {
    return errno == ENOENT ? Removal::absent : Removal::in_use;
  }
  // Between open() and flock() its owner may have moved it to its target, and another come here.
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0 || !leads_to(name, file.get())) {
    return Removal::in_use;
  }
  return ::unlink(name.c_str()) == 0 ? Removal::done : Removal::in_use;
}

// Whether the file may be given a name. A file system without locks has none that could be taken
// for left over, either.
bool lock(int descriptor) {
  return ::flock(descriptor, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK;
}

tl::unexpected<Error> failed(const fs::path& target, int number) {
  return tl::make_unexpected(system_error("write", target, number));
}

}  // namespace

Result<void> link_file(int descriptor, const fs::path& name, const fs::path& target) {
  const auto source = fmt::format("/proc/self/fd/{}", descriptor);
  if (::linkat(AT_FDCWD, source.c_str(), AT_FDCWD, name.c_str(), AT_SYMLINK_FOLLOW) != 0) {
    return failed(target, errno);
  }
  return {};
}

Result<FileAside> create_aside(const fs::path& target) {
  for (int number = 0; number < kMaxNames; ++number) {
    auto name = name_of(target, number);
    static_cast<void>(remove_one(name));
    Descriptor file{::open(name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600)};
    if (!file && errno != EEXIST) {
      return failed(target, errno);
    }
    // Before it was locked, another process may have taken it for left over.
    if (file && lock(file.get()) && leads_to(name, file.get())) {
      return FileAside{.descriptor = std::move(file), .path = std::move(name)};
    }
  }
  return failed(target, EEXIST);
}

Result<fs::path> name_aside(int descriptor, const fs::path& target) {
  static_cast<void>(lock(descriptor));  // Nobody else can have it open.
  for (int number = 0; number < kMaxNames; ++number) {
    auto name = name_of(target, number);
    auto linked = link_file(descriptor, name, target);
    if (linked) {
      return name;
    }
    if (linked.error().code() != Errc::exists) {
      return tl::make_unexpected(std::move(linked).error());
    }
  }
  return failed(target, EEXIST);
}

void remove_left_over(const fs::path& target) {
  for (int number = 0; number < kMaxNames; ++number) {
    if (remove_one(name_of(target, number)) == Removal::absent) {
      return;
    }
  }
}

}  // namespace sphere
