// SPDX-License-Identifier: MIT
#include "libsdk/src/image/body_sink.h"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <unistd.h>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "sphere/core/file.h"
#include "sphere/core/result.h"

namespace sphere::image {

Result<void> write_at(const OutputFile& file, std::uint64_t offset,
                      std::span<const std::byte> bytes) {
  const auto turn = file.one_writer == nullptr ? std::unique_lock<std::mutex>{}
                                               : std::unique_lock{*file.one_writer};
  while (!bytes.empty()) {
    const ssize_t count =
        ::pwrite(file.descriptor, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (count < 0 && errno != EINTR) {
      return tl::make_unexpected(system_error("write", file.name, errno));
    }
    const auto done = count > 0 ? static_cast<std::size_t>(count) : 0;
    bytes = bytes.subspan(done);
    offset += done;
  }
  return {};
}

Result<void> read_at(const OutputFile& file, std::uint64_t offset, std::span<std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count =
        ::pread(file.descriptor, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (count == 0) {
      return fail(Errc::io,
                  fmt::format("{} became shorter while it was written", file.name.string()),
                  {.reason = "local.file-unreadable", .value = file.name.string()});
    }
    if (count < 0 && errno != EINTR) {
      return tl::make_unexpected(system_error("read", file.name, errno));
    }
    const auto done = count > 0 ? static_cast<std::size_t>(count) : 0;
    bytes = bytes.subspan(done);
    offset += done;
  }
  return {};
}

Result<void> set_size(const OutputFile& file, std::uint64_t size) {
  if (::ftruncate(file.descriptor, static_cast<off_t>(size)) != 0) {
    return tl::make_unexpected(system_error("write", file.name, errno));
  }
  return {};
}

}  // namespace sphere::image
