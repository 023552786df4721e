// SPDX-License-Identifier: MIT
#include "libsdk/src/image/tail_change.h"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <fcntl.h>
#include <filesystem>
#include <optional>
#include <span>
#include <sys/file.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "libsdk/src/image/tail_record.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"

namespace sphere::image {
namespace fs = std::filesystem;
namespace {

tl::unexpected<Error> busy(const fs::path& path) {
  return fail(Errc::busy, fmt::format("{} is being signed by another process", path.string()),
              {.reason = "local.file-unreadable",
               .value = path.string(),
               .next = "repeat when it is done"});
}

// The file itself, behind symbolic links.
fs::path behind_links(const fs::path& path) {
  struct stat status = {};
  if (::lstat(path.c_str(), &status) != 0 || !S_ISLNK(status.st_mode)) {
    return path;
  }
  std::error_code error;
  auto real = fs::canonical(path, error);
  return error ? path : real;
}

Result<void> read_at(int file, std::uint64_t offset, std::span<std::byte> buffer,
                     const fs::path& path) {
  while (!buffer.empty()) {
    const auto count = ::pread(file, buffer.data(), buffer.size(), static_cast<off_t>(offset));
    if (count == 0 || (count < 0 && errno != EINTR)) {
      return tl::make_unexpected(system_error("read", path, count == 0 ? EIO : errno));
    }
    const auto done = count > 0 ? static_cast<std::size_t>(count) : 0;
    buffer = buffer.subspan(done);
    offset += done;
  }
  return {};
}

Result<void> write_at(int file, std::uint64_t offset, std::span<const std::byte> bytes,
                      const fs::path& path) {
  while (!bytes.empty()) {
    const auto count = ::pwrite(file, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (count < 0 && errno != EINTR) {
      return tl::make_unexpected(system_error("write", path, errno));
    }
    const auto done = count > 0 ? static_cast<std::size_t>(count) : 0;
    bytes = bytes.subspan(done);
    offset += done;
  }
  return {};
}

Result<std::vector<std::byte>> read_end(int file, std::uint64_t offset, std::size_t count,
                                        const fs::path& path) {
  std::vector<std::byte> bytes(count);
  SPHERE_TRY(read_at(file, offset, bytes, path));
  return bytes;
}

// How far a writer came that went from `before` to `after`.
enum class State : std::uint8_t { before, after, between, foreign };

State state_of(std::span<const std::byte> now, const TailRecord& record) {
  if (std::ranges::equal(now, record.before)) {
    return State::before;
  }
  if (std::ranges::equal(now, record.after)) {
    return State::after;
  }
  for (std::size_t i = 0; i < now.size(); ++i) {
    if (now[i] != record.before[i] && now[i] != record.after[i]) {
      return State::foreign;
    }
  }
  return State::between;
}

// Makes the file whole, as far as `record` is about it.
Result<void> finish_file(const fs::path& path, const TailRecord& record) {
  Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  struct stat status = {};
  if (!file || ::fstat(file.get(), &status) != 0) {
    return tl::make_unexpected(system_error("open", path, errno));
  }
  if (status.st_ino != record.inode ||
      static_cast<std::uint64_t>(status.st_size) != record.file_size) {
    return {};  // The file was replaced since.
  }
  SPHERE_TRY_ASSIGN(const auto now,
                    read_end(file.get(), record.offset, record.before.size(), path));
  if (state_of(now, record) != State::between) {
    return {};
  }
  file.reset(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (!file) {
    return tl::make_unexpected(system_error("finish the signing of", path, errno));
  }
  SPHERE_TRY(write_at(file.get(), record.offset, record.after, path));
  if (::fdatasync(file.get()) != 0) {
    return tl::make_unexpected(system_error("write", path, errno));
  }
  return {};
}

// Takes the record for this process alone. Nothing when it is gone.
Result<std::optional<Descriptor>> lock_record(const fs::path& record_path, const fs::path& path) {
  Descriptor record{::open(record_path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)};
  if (!record && errno == ENOENT) {
    return std::nullopt;
  }
  if (!record) {
    return tl::make_unexpected(system_error("finish the signing of", path, errno));
  }
  if (::flock(record.get(), LOCK_EX | LOCK_NB) != 0) {
    return busy(path);
  }
  struct stat status = {};
  if (::fstat(record.get(), &status) != 0 || status.st_nlink == 0 || !S_ISREG(status.st_mode)) {
    return std::nullopt;  // Its owner was done, just now.
  }
  return record;
}

// A locked record that appears complete: nobody finds one that is half written or not locked.
Result<Descriptor> write_record(const fs::path& record_path, const fs::path& path,
                                const TailRecord& record) {
  auto file = AtomicFile::create(record_path, {.mode = 0600, .replace = false, .sync = false});
  if (!file && file.error().code() == Errc::exists) {
    return busy(path);
  }
  if (!file) {
    return tl::make_unexpected(std::move(file).error());
  }
  SPHERE_TRY(file->write(write_tail_record(record)));
  Descriptor lock{::fcntl(file->descriptor(), F_DUPFD_CLOEXEC, 0)};
  if (!lock || ::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    return tl::make_unexpected(system_error("write", record_path, errno));
  }
  auto committed = file->commit();
  if (!committed && committed.error().code() == Errc::exists) {
    return busy(path);
  }
  SPHERE_TRY(std::move(committed));
  return lock;
}

}  // namespace

fs::path tail_record_path(const fs::path& path) {
  auto name = "." + path.filename().string() + ".signing";
  return path.has_parent_path() ? path.parent_path() / name : fs::path{std::move(name)};
}

TailChange::TailChange(fs::path path, Descriptor file, std::uint64_t offset,
                       std::vector<std::byte> after)
    : path_{std::move(path)}, file_{std::move(file)}, offset_{offset}, after_{std::move(after)} {}

TailChange::TailChange(TailChange&& other) noexcept
    : path_{std::move(other.path_)},
      record_path_{std::exchange(other.record_path_, {})},
      file_{std::move(other.file_)},
      record_{std::move(other.record_)},
      offset_{other.offset_},
      after_{std::move(other.after_)},
      is_half_written_{other.is_half_written_} {}

TailChange::~TailChange() {
  if (!record_path_.empty() && !is_half_written_) {
    ::unlink(record_path_.c_str());
  }
}

Result<TailChange> TailChange::prepare(const fs::path& path, std::uint64_t offset,
                                       std::span<const std::byte> before,
                                       std::vector<std::byte> after) {
  const auto real = behind_links(path);
  Descriptor file{::open(real.c_str(), O_RDWR | O_CLOEXEC)};
  struct stat status = {};
  if (!file || ::fstat(file.get(), &status) != 0) {
    return tl::make_unexpected(system_error("write", path, errno));
  }
  const auto size = static_cast<std::uint64_t>(status.st_size);
  const bool same_size = size == offset + before.size();
  auto now = same_size ? read_end(file.get(), offset, before.size(), path)
                       : Result<std::vector<std::byte>>{};
  SPHERE_TRY(now);
  if (!same_size || !std::ranges::equal(*now, before)) {
    return fail(Errc::io, fmt::format("{} was changed while it was read", path.string()),
                {.reason = "local.file-unreadable",
                 .value = path.string(),
                 .next = "check that nothing writes to the file, then repeat"});
  }
  const TailRecord record{.inode = status.st_ino,
                          .file_size = size,
                          .offset = offset,
                          .before = *std::move(now),
                          .after = after};
  TailChange change{real, std::move(file), offset, std::move(after)};
  const auto record_path = tail_record_path(real);
  SPHERE_TRY_ASSIGN(change.record_, write_record(record_path, path, record));
  change.record_path_ = record_path;
  return change;
}

Result<void> TailChange::apply() {
  is_half_written_ = true;
  SPHERE_TRY(write_at(file_.get(), offset_, after_, path_));
  is_half_written_ = false;
  return {};
}

Result<void> TailChange::sync_record() const {
  if (::fsync(record_.get()) != 0) {
    return tl::make_unexpected(system_error("write", record_path_, errno));
  }
  const auto parent = record_path_.parent_path();
  return sync_directory(parent.empty() ? "." : parent);
}

Result<void> TailChange::sync_file() const {
  if (::fdatasync(file_.get()) != 0) {
    return tl::make_unexpected(system_error("write", path_, errno));
  }
  return {};
}

Result<void> finish_tail_change(const fs::path& path) {
  const auto real = behind_links(path);
  const auto record_path = tail_record_path(real);
  SPHERE_TRY_ASSIGN(const auto record, lock_record(record_path, path));
  if (!record) {
    return {};
  }
  SPHERE_TRY_ASSIGN(const auto bytes, read_file(record_path, kMaxTailRecord));
  const auto parsed = read_tail_record(bytes);
  if (parsed) {
    SPHERE_TRY(finish_file(real, *parsed));
  } else if (parsed.error().code() == Errc::unsupported) {
    return tl::make_unexpected(parsed.error());
  }
  // One that cannot be read was never complete on the disk, so the file was not touched yet.
  if (::unlink(record_path.c_str()) != 0 && errno != ENOENT && errno != EACCES && errno != EPERM &&
      errno != EROFS) {
    return tl::make_unexpected(system_error("remove", record_path, errno));
  }
  return {};
}

}  // namespace sphere::image
