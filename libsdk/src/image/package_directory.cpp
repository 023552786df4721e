// SPDX-License-Identifier: MIT
#include "libsdk/src/image/package_directory.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <fcntl.h>
#include <filesystem>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "libsdk/src/image/body_sink.h"
#include "libsdk/src/image/failure.h"
#include "libsdk/src/image/file_stamp.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/image/asxipfs.h"

namespace sphere::image {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kManifest = "app_manifest.json";

tl::unexpected<Error> refused(const fs::path& path, std::string_view why, std::string_view next) {
  return fail(
      Errc::invalid_argument, fmt::format("{} {}", path.string(), why),
      {.reason = "local.file-unreadable", .value = path.string(), .next = std::string{next}});
}

tl::unexpected<Error> was_changed(const fs::path& path) {
  return fail(Errc::io, fmt::format("{} was changed while it was packed", path.string()),
              {.reason = "local.file-unreadable",
               .value = path.string(),
               .next = "wait until nothing writes to it, then pack again"});
}

bool is_below(const fs::path& path, const fs::path& root) {
  const auto [end, rest] = std::ranges::mismatch(root, path);
  return end == root.end();
}

class DirectoryReader {
 public:
  explicit DirectoryReader(fs::path root) : root_{std::move(root)} {}

  // Adds what lies in `directory`; `prefix` is its path in the package, "" or with '/' at the end.
  // NOLINTNEXTLINE(misc-no-recursion): at most kMaxDepth directories deep.
  Result<void> read(const fs::path& directory, const std::string& prefix, std::size_t depth) {
    if (depth > kMaxDepth) {
      return too_large(
          fmt::format("{} is more than {} directories deep", directory.string(), kMaxDepth),
          directory.string());
    }
    std::error_code error;
    for (fs::directory_iterator entry{directory, error}, end; !error && entry != end;
         entry.increment(error)) {
      SPHERE_TRY(add(*entry, prefix, depth));
    }
    if (error) {
      return tl::make_unexpected(system_error("read", directory, error.value()));
    }
    return {};
  }

  std::map<std::string, ListedFile> take() && { return std::move(files_); }

 private:
  // NOLINTNEXTLINE(misc-no-recursion): at most kMaxDepth directories deep.
  Result<void> add(const fs::directory_entry& entry, const std::string& prefix, std::size_t depth) {
    const auto name = entry.path().filename().string();
    if (prefix.empty() && name == kManifest) {
      return {};
    }
    std::error_code error;
    if (entry.is_symlink(error)) {
      SPHERE_TRY(check_link(entry.path()));
    }
    const auto status = entry.status(error);
    if (error) {
      return tl::make_unexpected(system_error("read", entry.path(), error.value()));
    }
    if (fs::is_directory(status)) {
      return read(entry.path(), prefix + name + "/", depth + 1);
    }
    if (!fs::is_regular_file(status)) {
      return refused(entry.path(), "is neither a file nor a directory", "remove it");
    }
    return add_file(entry.path(), prefix + name);
  }

  [[nodiscard]] Result<void> check_link(const fs::path& link) const {
    std::error_code error;
    const auto target = fs::canonical(link, error);
    if (error) {
      return refused(link, "is a symbolic link to nothing", "remove it");
    }
    if (!is_below(target, root_)) {
      return refused(link, "is a symbolic link that leaves the package directory",
                     "copy the file instead");
    }
    return {};
  }

  Result<void> add_file(const fs::path& path, std::string name) {
    if (files_.size() >= kMaxInodes) {
      return too_large(fmt::format("more than {} files", kMaxInodes));
    }
    struct stat status = {};
    if (::stat(path.c_str(), &status) != 0) {
      return tl::make_unexpected(system_error("read", path, errno));
    }
    const auto size = static_cast<std::size_t>(status.st_size);
    if (size > kMaxFileBytes) {
      return too_large(fmt::format("{} is larger than {} bytes, the limit of a file in a package",
                                   path.string(), kMaxFileBytes),
                       path.string());
    }
    total_ += size;
    if (total_ > kMaxBodyBytes) {
      return too_large(fmt::format("the files have more than {} bytes", kMaxBodyBytes));
    }
    files_.emplace(std::move(name), ListedFile{.path = path,
                                               .size = size,
                                               .inode = status.st_ino,
                                               .changed = status.st_mtim,
                                               .stamp = stamp_of(status)});
    return {};
  }

  fs::path root_;
  std::map<std::string, ListedFile> files_;
  std::size_t total_ = 0;
};

}  // namespace

Result<std::map<std::string, ListedFile>> list_package_directory(const fs::path& directory) {
  std::error_code error;
  const auto root = fs::canonical(directory, error);
  if (error) {
    return tl::make_unexpected(system_error("read", directory, error.value()));
  }
  if (!fs::is_directory(root, error)) {
    return refused(directory, "is not a directory",
                   "name the directory that holds the app's files");
  }
  DirectoryReader reader{root};
  SPHERE_TRY(reader.read(directory, {}, 0));
  return std::move(reader).take();
}

Result<void> read_listed(const ListedFile& file, std::uint64_t offset,
                         std::span<std::byte> buffer) {
  const Descriptor descriptor{::open(file.path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (!descriptor) {
    return tl::make_unexpected(system_error("open", file.path, errno));
  }
  while (!buffer.empty()) {
    const ssize_t count =
        ::pread(descriptor.get(), buffer.data(), buffer.size(), static_cast<off_t>(offset));
    if (count == 0) {
      return was_changed(file.path);
    }
    if (count < 0 && errno != EINTR) {
      return tl::make_unexpected(system_error("read", file.path, errno));
    }
    const auto done = count > 0 ? static_cast<std::size_t>(count) : 0;
    buffer = buffer.subspan(done);
    offset += done;
  }
  struct stat status = {};
  if (::fstat(descriptor.get(), &status) != 0) {
    return tl::make_unexpected(system_error("read", file.path, errno));
  }
  return stamp_of(status) == file.stamp ? Result<void>{} : was_changed(file.path);
}

Result<bool> copy_listed(const ListedFile& file, CopyPlace place, const OutputFile& output) {
  constexpr std::array kCannot = {EXDEV, EINVAL, ENOSYS, EOPNOTSUPP, EPERM, ETXTBSY};
  const Descriptor descriptor{::open(file.path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (!descriptor) {
    return tl::make_unexpected(system_error("open", file.path, errno));
  }
  auto from = static_cast<off_t>(place.from);
  auto to = static_cast<off_t>(place.to);
  const auto turn = output.one_writer == nullptr ? std::unique_lock<std::mutex>{}
                                                 : std::unique_lock{*output.one_writer};
  while (place.size != 0) {
    const auto count =
        ::copy_file_range(descriptor.get(), &from, output.descriptor, &to, place.size, 0);
    if (count == 0) {
      return was_changed(file.path);
    }
    if (count < 0 && std::ranges::find(kCannot, errno) != kCannot.end()) {
      return false;
    }
    if (count < 0 && errno != EINTR) {
      return tl::make_unexpected(system_error("write", output.name, errno));
    }
    place.size -= count > 0 ? static_cast<std::size_t>(count) : 0;
  }
  struct stat status = {};
  if (::fstat(descriptor.get(), &status) != 0) {
    return tl::make_unexpected(system_error("read", file.path, errno));
  }
  return stamp_of(status) == file.stamp ? Result<bool>{true} : was_changed(file.path);
}

Result<ListedFileReader> ListedFileReader::open(const ListedFile& file) {
  Descriptor descriptor{::open(file.path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (!descriptor) {
    return tl::make_unexpected(system_error("open", file.path, errno));
  }
  ListedFileReader reader{file, std::move(descriptor)};
  SPHERE_TRY(reader.check());
  return reader;
}

Result<void> ListedFileReader::read(std::span<std::byte> buffer) {
  while (!buffer.empty()) {
    const auto count = ::read(descriptor_.get(), buffer.data(), buffer.size());
    if (count == 0) {
      return was_changed(file_->path);
    }
    if (count < 0 && errno != EINTR) {
      return tl::make_unexpected(system_error("read", file_->path, errno));
    }
    buffer = buffer.subspan(count > 0 ? static_cast<std::size_t>(count) : 0);
  }
  return {};
}

Result<void> ListedFileReader::finish() const { return check(); }

Result<void> ListedFileReader::check() const {
  struct stat status = {};
  if (::fstat(descriptor_.get(), &status) != 0) {
    return tl::make_unexpected(system_error("read", file_->path, errno));
  }
  if (static_cast<std::size_t>(status.st_size) != file_->size || status.st_ino != file_->inode ||
      status.st_mtim.tv_sec != file_->changed.tv_sec ||
      status.st_mtim.tv_nsec != file_->changed.tv_nsec) {
    return was_changed(file_->path);
  }
  return {};
}

}  // namespace sphere::image
