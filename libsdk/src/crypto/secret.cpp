// SPDX-License-Identifier: MIT
#include "sphere/crypto/secret.h"

#include <cerrno>
#include <cstddef>
#include <fcntl.h>
#include <filesystem>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <tl/expected.hpp>

#include "sphere/core/descriptor.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"

namespace sphere::crypto {
namespace {

constexpr std::size_t kMaxKeyFile = std::size_t{64} * 1024;

}  // namespace

Secret::Secret(Secret&& other) noexcept : bytes_{std::exchange(other.bytes_, {})} {}

Secret& Secret::operator=(Secret&& other) noexcept {
  if (this != &other) {
    OPENSSL_cleanse(bytes_.data(), bytes_.size());
    bytes_ = std::exchange(other.bytes_, {});
  }
  return *this;
}

Secret::~Secret() { OPENSSL_cleanse(bytes_.data(), bytes_.size()); }

void Secret::shorten(std::size_t size) noexcept {
  OPENSSL_cleanse(bytes_.data() + size, bytes_.size() - size);
  bytes_.resize(size);
}

std::string_view Secret::text() const noexcept {
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): bytes seen as characters.
  return {reinterpret_cast<const char*>(bytes_.data()), bytes_.size()};
}

Result<Secret> read_private_text(const std::filesystem::path& path) {
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (!file) {
    return tl::make_unexpected(system_error("open", path, errno));
  }
  struct stat status = {};
  if (::fstat(file.get(), &status) != 0) {
    return tl::make_unexpected(system_error("read", path, errno));
  }
  if (!S_ISREG(status.st_mode)) {
    return fail(Errc::invalid_argument, fmt::format("{} is not a file", path.string()),
                {.reason = "local.file-unreadable", .value = path.string()});
  }
  if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    return fail(
        Errc::permission,
        fmt::format("the key file {} may be read by others (mode {:04o})", path.string(),
                    status.st_mode & 07777U),
        {.reason = "key.refused", .value = path.string(), .next = "chmod 600 " + path.string()});
  }
  Secret content{std::vector<std::byte>(kMaxKeyFile + 1)};
  const auto bytes = content.writable();
  std::size_t filled = 0;
  while (filled < bytes.size()) {
    const auto count = ::read(file.get(), bytes.data() + filled, bytes.size() - filled);
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count < 0) {
      return tl::make_unexpected(system_error("read", path, errno));
    }
    if (count == 0) {
      break;
    }
    filled += static_cast<std::size_t>(count);
  }
  if (filled > kMaxKeyFile) {
    return fail(Errc::too_large,
                fmt::format("{} is larger than {} bytes", path.string(), kMaxKeyFile),
                {.reason = "key.refused", .value = path.string()});
  }
  content.shorten(filled);
  return content;
}

}  // namespace sphere::crypto
