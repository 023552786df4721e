// SPDX-License-Identifier: MIT
#include "sphere/recovery/file_set.h"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <dirent.h>
#include <fcntl.h>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "libsdk/src/recovery/zip.h"
#include "sphere/core/file.h"
#include "sphere/core/text.h"
#include "sphere/core/writer.h"
#include "sphere/recovery/v2_messages.h"

namespace sphere::recovery {

namespace {

constexpr std::size_t kPiece = 256 * 1024;

auto refuse(Errc code, std::string message, std::string_view value) {
  return fail(code, std::move(message),
              {.reason = "recovery.image-refused",
               .value = std::string{value},
               .next = "give the folder or zip archive of a recovery set as it was delivered"});
}

Result<void> read_at(int descriptor, std::uint64_t offset, std::span<std::byte> bytes,
                     std::string_view name) {
  while (!bytes.empty()) {
    const ssize_t count =
        ::pread(descriptor, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count < 0) {
      return tl::make_unexpected(system_error("read", name, errno));
    }
    if (count == 0) {
      return fail(Errc::io, fmt::format("{} became shorter while it was in use", name),
                  {.reason = "local.file-unreadable"});
    }
    offset += static_cast<std::uint64_t>(count);
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return {};
}

// One file of a set as a source of an image package.
class SetSource final : public image::BlockSource {
 public:
  SetSource(int descriptor, std::string name) : descriptor_{descriptor}, name_{std::move(name)} {}

  [[nodiscard]] Result<std::span<const std::byte>> read(
      std::uint64_t offset, std::span<std::byte> buffer) const override {
    SPHERE_TRY(read_at(descriptor_, offset, buffer, name_));
    return buffer;
  }

 private:
  int descriptor_;
  std::string name_;
};

// The folder in which the files stand: `path`, or its only entry.
Result<std::filesystem::path> step_into(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::directory_iterator entries{path, error};
  if (error) {
    return tl::make_unexpected(system_error("open", path, error.value()));
  }
  std::vector<std::filesystem::directory_entry> all;
  for (const auto& entry : entries) {
    if (!entry.path().filename().string().starts_with('.')) {
      all.push_back(entry);
    }
    if (all.size() > 1) {
      return path;
    }
  }
  const bool only =
      all.size() == 1 && all.front().is_directory(error) && !all.front().is_symlink(error);
  return only ? all.front().path() : path;
}

// The first folder of all entries, with its '/', when they share one.
std::string common_folder(const std::vector<ZipEntry>& entries) {
  if (entries.empty()) {
    return {};
  }
  const auto slash = entries.front().name.find('/');
  if (slash == std::string::npos) {
    return {};
  }
  const std::string folder = entries.front().name.substr(0, slash + 1);
  const bool all = std::ranges::all_of(
      entries, [&](const ZipEntry& entry) { return entry.name.starts_with(folder); });
  return all && folder != "../" && folder != "/" ? folder : std::string{};
}

// A file without a name, which goes with its descriptor.
Result<Descriptor> scratch_file() {
  std::error_code error;
  const auto directory = std::filesystem::temp_directory_path(error);
  const auto place = error ? std::filesystem::path{"/tmp"} : directory;
  Descriptor file{::open(place.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, S_IRUSR | S_IWUSR)};
  if (!file) {
    return tl::make_unexpected(system_error("make a file in", place, errno));
  }
  return file;
}

}  // namespace

const FileSet::File* FileSet::find(std::string_view name) const {
  const auto found = std::ranges::lower_bound(files_, name, {}, &File::name);
  return found == files_.end() || found->name != name ? nullptr : &*found;
}

std::uint64_t FileSet::total_size() const {
  std::uint64_t total = 0;
  for (const File& file : files_) {
    total += file.size;
  }
  return total;
}

crypto::Sha256Digest FileSet::digest() const {
  Writer writer;
  for (const File& file : files_) {
    if (v2::is_file_name(file.name)) {
      writer.text(file.name).zeros(1).little_endian(file.size).bytes(file.sha256);
    }
  }
  return crypto::sha256(writer.data());
}

// Hashes a file and adds it at its place.
Result<void> FileSet::take(std::string name, Descriptor descriptor) {
  struct stat status = {};
  if (::fstat(descriptor.get(), &status) != 0) {
    return tl::make_unexpected(system_error("look at", name, errno));
  }
  if (!S_ISREG(status.st_mode)) {
    return refuse(Errc::invalid_argument, fmt::format("{} is no regular file", name), name);
  }
  const auto size = static_cast<std::uint64_t>(status.st_size);
  if (files_.size() >= kSetEntries || total_size() + size > kSetBytes) {
    return refuse(Errc::too_large,
                  fmt::format("the recovery set has more than {} files or {} bytes", kSetEntries,
                              with_thousands(kSetBytes)),
                  name);
  }
  crypto::Sha256 hash;
  std::vector<std::byte> buffer(kPiece);
  for (std::uint64_t at = 0; at < size;) {
    const auto piece = std::span{buffer}.first(
        static_cast<std::size_t>(std::min<std::uint64_t>(size - at, kPiece)));
    SPHERE_TRY(read_at(descriptor.get(), at, piece, name));
    hash.update(piece);
    at += piece.size();
  }
  const auto place = std::ranges::lower_bound(files_, name, {}, &File::name);
  const auto index = place - files_.begin();
  if (place != files_.end() && place->name == name) {
    return refuse(Errc::corrupt, fmt::format("the recovery set has {} twice", name), name);
  }
  descriptors_.insert(descriptors_.begin() + index, std::move(descriptor));
  files_.insert(place, {.name = std::move(name), .size = size, .sha256 = hash.finish()});
  return {};
}

Result<FileSet> FileSet::from_directory(const std::filesystem::path& path) {
  SPHERE_TRY_ASSIGN(const auto folder, step_into(path));
  const Descriptor directory{::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (!directory) {
    return tl::make_unexpected(system_error("open", folder, errno));
  }
  std::error_code error;
  FileSet set;
  for (const auto& entry : std::filesystem::directory_iterator{folder, error}) {
    std::string name = entry.path().filename().string();
    if (name.starts_with('.')) {
      continue;
    }
    if (!v2::is_file_name(name)) {
      return refuse(Errc::invalid_argument,
                    fmt::format("{} is no name of a recovery file", escape_control(name)),
                    escape_control(name));
    }
    Descriptor file{
        ::openat(directory.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)};
    if (!file && errno == ELOOP) {
      return refuse(Errc::invalid_argument, fmt::format("{} is a symbolic link", name), name);
    }
    if (!file) {
      return tl::make_unexpected(system_error("open", entry.path(), errno));
    }
    SPHERE_TRY(set.take(std::move(name), std::move(file)));
  }
  return set;
}

Result<FileSet> FileSet::from_zip(const std::filesystem::path& path) {
  const Descriptor archive{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  struct stat status = {};
  if (!archive || ::fstat(archive.get(), &status) != 0) {
    return tl::make_unexpected(system_error("open", path, errno));
  }
  const auto size = static_cast<std::uint64_t>(status.st_size);
  const ReadAt read = [&](std::uint64_t offset, std::span<std::byte> bytes) {
    return read_at(archive.get(), offset, bytes, path.string());
  };
  SPHERE_TRY_ASSIGN(const auto entries, read_zip_directory(read, size, kSetEntries));
  const std::string folder = common_folder(entries);
  FileSet set;
  std::uint64_t total = 0;
  for (const ZipEntry& entry : entries) {
    const std::string name = entry.name.substr(folder.size());
    if (name.empty()) {
      continue;
    }
    if (!v2::is_file_name(name) || entry.is_link) {
      return refuse(
          Errc::invalid_argument,
          fmt::format("{} in the archive is no recovery file", escape_control(entry.name)),
          escape_control(entry.name));
    }
    total += entry.size;
    if (total > kSetBytes) {
      return refuse(Errc::too_large, "the archive's content has more than 4 GiB", path.string());
    }
    SPHERE_TRY_ASSIGN(auto file, scratch_file());
    SPHERE_TRY(extract_zip_entry(read, size, entry, [&](std::span<const std::byte> bytes) {
      return write_all(file.get(), bytes, name);
    }));
    SPHERE_TRY(set.take(name, std::move(file)));
  }
  return set;
}

Result<FileSet> FileSet::open(const std::filesystem::path& path) {
  struct stat status = {};
  if (::stat(path.c_str(), &status) != 0) {
    return tl::make_unexpected(system_error("open", path, errno));
  }
  SPHERE_TRY_ASSIGN(auto set, S_ISDIR(status.st_mode) ? from_directory(path) : from_zip(path));
  if (set.files_.empty()) {
    return refuse(Errc::not_found, fmt::format("{} holds no files", path.string()), path.string());
  }
  return set;
}

Result<void> FileSet::add(std::string name, const std::filesystem::path& path,
                          std::uint64_t limit) {
  Descriptor file{::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC)};
  struct stat status = {};
  if (!file || ::fstat(file.get(), &status) != 0) {
    return tl::make_unexpected(system_error("open", path, errno));
  }
  if (status.st_size <= 0 || static_cast<std::uint64_t>(status.st_size) > limit) {
    return refuse(Errc::too_large,
                  fmt::format("{} has {} bytes, not 1 to {}", path.string(), status.st_size, limit),
                  path.string());
  }
  return take(std::move(name), std::move(file));
}

Result<void> FileSet::read(std::string_view name, std::uint64_t offset,
                           std::span<std::byte> bytes) const {
  const File* const file = find(name);
  if (file == nullptr || offset > file->size || bytes.size() > file->size - offset) {
    return fail(Errc::not_found, fmt::format("no such part of {}", name));
  }
  const auto index = static_cast<std::size_t>(file - files_.data());
  return read_at(descriptors_[index].get(), offset, bytes, name);
}

std::shared_ptr<const image::BlockSource> FileSet::source(std::string_view name) const {
  const File* const file = find(name);
  if (file == nullptr) {
    return nullptr;
  }
  const auto index = static_cast<std::size_t>(file - files_.data());
  return std::make_shared<SetSource>(descriptors_[index].get(), file->name);
}

}  // namespace sphere::recovery
