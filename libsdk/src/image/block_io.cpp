// SPDX-License-Identifier: MIT
#include "sphere/image/block_io.h"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <fcntl.h>
#include <filesystem>
#include <span>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "sphere/core/descriptor.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"

namespace sphere::image {
namespace {

// An offset that pread() cannot be given would otherwise become negative.
constexpr auto kMaxOffset = static_cast<std::uint64_t>(INT64_MAX);

bool is_same_time(const timespec& a, const timespec& b) {
  return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

}  // namespace

Result<std::span<const std::byte>> MemoryBlocks::read(std::uint64_t offset,
                                                      std::span<std::byte> buffer) const {
  if (offset > bytes_.size() || buffer.size() > bytes_.size() - offset) {
    return fail(Errc::corrupt,
                fmt::format("{} bytes at offset {} end behind the {} bytes there are",
                            buffer.size(), offset, bytes_.size()),
                {.reason = "package.corrupt"});
  }
  return bytes_.subspan(static_cast<std::size_t>(offset), buffer.size());
}

Result<void> stream_bytes(const BlockSource& source, std::uint64_t begin, std::uint64_t end,
                          const UseBytes& use) {
  std::vector<std::byte> buffer(
      static_cast<std::size_t>(std::min<std::uint64_t>(kReadBytes, end - std::min(begin, end))));
  while (begin < end) {
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), end - begin));
    SPHERE_TRY_ASSIGN(const auto bytes, source.read(begin, std::span{buffer}.first(size)));
    SPHERE_TRY(use(bytes));
    begin += size;
  }
  return {};
}

FileBlocks::FileBlocks(std::filesystem::path path, Descriptor descriptor, std::uint64_t start,
                       Stamp stamp)
    : path_{std::move(path)},
      descriptor_{std::move(descriptor)},
      start_{start},
      size_{stamp.size > start ? stamp.size - start : 0},
      stamp_{stamp} {}

FileBlocks::FileBlocks(FileBlocks&& other) noexcept
    : path_{std::move(other.path_)},
      descriptor_{std::move(other.descriptor_)},
      start_{other.start_},
      size_{other.size_},
      stamp_{other.stamp_} {}

Result<FileBlocks> FileBlocks::open(const std::filesystem::path& path, std::uint64_t start) {
  Descriptor descriptor{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  struct stat status = {};
  if (!descriptor || ::fstat(descriptor.get(), &status) != 0) {
    return tl::make_unexpected(system_error("open", path, errno));
  }
  if (!S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode)) {
    return fail(Errc::invalid_argument, "not a file: " + path.string(),
                {.reason = "local.file-unreadable",
                 .value = path.string(),
                 .next = "name a regular file; what a pipe gives can be saved to one first"});
  }
  const Stamp stamp = {.size = static_cast<std::uint64_t>(status.st_size),
                       .changed = status.st_mtim};
  return FileBlocks{path, std::move(descriptor), start, stamp};
}

Result<std::span<const std::byte>> FileBlocks::read(std::uint64_t offset,
                                                    std::span<std::byte> buffer) const {
  std::size_t done = 0;
  while (done < buffer.size()) {
    const std::uint64_t position = start_ + offset + done;
    if (start_ > kMaxOffset || offset > kMaxOffset || position > kMaxOffset) {
      return tl::make_unexpected(system_error("read", path_, EOVERFLOW));
    }
    const auto rest = buffer.subspan(done);
    const ssize_t count =
        ::pread(descriptor_.get(), rest.data(), rest.size(), static_cast<off_t>(position));
    if (count == 0) {
      return fail(Errc::io,
                  fmt::format("{} ends at offset {}, {} bytes too early", path_.string(), position,
                              rest.size()),
                  {.reason = "local.file-unreadable",
                   .value = path_.string(),
                   .next = "check that nothing writes to the file, then repeat"});
    }
    if (count < 0 && errno != EINTR) {
      return tl::make_unexpected(system_error("read", path_, errno));
    }
    done += count > 0 ? static_cast<std::size_t>(count) : 0;
  }
  return buffer;
}

Result<void> FileBlocks::check_unchanged() const {
  struct stat status = {};
  if (::fstat(descriptor_.get(), &status) != 0) {
    return tl::make_unexpected(system_error("read", path_, errno));
  }
  if (static_cast<std::uint64_t>(status.st_size) != stamp_.size ||
      !is_same_time(status.st_mtim, stamp_.changed)) {
    return fail(Errc::io, path_.string() + " was changed while it was read",
                {.reason = "local.file-unreadable",
                 .value = path_.string(),
                 .next = "check that nothing writes to the file, then repeat"});
  }
  return {};
}

}  // namespace sphere::image
