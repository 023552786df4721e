// SPDX-License-Identifier: MIT
#include "libsdk/src/transport/descriptor_stream.h"

#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <fcntl.h>
#include <memory>
#include <poll.h>
#include <span>
#include <string>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "sphere/core/descriptor.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/transport/byte_stream.h"

namespace sphere::transport {

namespace {

// A reset connection, a hung-up tty, a device that was taken away.
bool means_gone(int number) {
  return number == EIO || number == ENODEV || number == ENXIO || number == EPIPE ||
         number == ECONNRESET || number == ENOTCONN || number == ETIMEDOUT;
}

Result<std::size_t> outcome(ssize_t count, const std::string& name, std::string_view action) {
  if (count >= 0) {
    return static_cast<std::size_t>(count);
  }
  if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) {
    return std::size_t{0};
  }
  return tl::make_unexpected(means_gone(errno) ? unplugged(name)
                                               : system_error(action, name, errno));
}

Result<void> wait_for(ByteStream& stream, short events,
                      std::chrono::steady_clock::time_point until) {
  const auto left =
      std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
  pollfd poll{.fd = stream.descriptor(), .events = events, .revents = 0};
  if (left.count() <= 0 || ::poll(&poll, 1, static_cast<int>(left.count())) == 0) {
    return fail(Errc::timeout, "the board gives and takes no bytes",
                {.reason = "link.no-answer", .next = "see whether the board has power"});
  }
  return {};
}

}  // namespace

Error unplugged(const std::string& name) {
  return Error{Errc::unavailable, fmt::format("the board at {} was unplugged", name),
               Hint{.reason = "link.unplugged",
                    .value = name,
                    .next = "plug it in again, then repeat the command"}};
}

DescriptorStream::DescriptorStream(Descriptor descriptor, std::string name)
    : descriptor_{std::move(descriptor)}, name_{std::move(name)} {
  ::fcntl(descriptor_.get(), F_SETFL, ::fcntl(descriptor_.get(), F_GETFL) | O_NONBLOCK);
}

Result<std::size_t> DescriptorStream::read(std::span<std::byte> bytes) {
  const ssize_t count = ::read(descriptor_.get(), bytes.data(), bytes.size());
  if (count == 0 && !bytes.empty()) {
    return tl::make_unexpected(unplugged(name_));
  }
  return outcome(count, name_, "read");
}

Result<std::size_t> DescriptorStream::write(std::span<const std::byte> bytes) {
  ssize_t count = ::send(descriptor_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (count < 0 && errno == ENOTSOCK) {
    count = ::write(descriptor_.get(), bytes.data(), bytes.size());
  }
  return outcome(count, name_, "write");
}

Result<std::size_t> read_some(ByteStream& stream, std::span<std::byte> bytes,
                              std::chrono::milliseconds limit) {
  const auto until = std::chrono::steady_clock::now() + limit;
  while (true) {
    SPHERE_TRY_ASSIGN(const std::size_t count, stream.read(bytes));
    if (count > 0) {
      return count;
    }
    SPHERE_TRY(wait_for(stream, POLLIN, until));
  }
}

Result<void> write_all(ByteStream& stream, std::span<const std::byte> bytes,
                       std::chrono::milliseconds limit) {
  auto until = std::chrono::steady_clock::now() + limit;
  while (!bytes.empty()) {
    SPHERE_TRY_ASSIGN(const std::size_t count, stream.write(bytes));
    bytes = bytes.subspan(count);
    if (count > 0) {
      until = std::chrono::steady_clock::now() + limit;
    } else {
      SPHERE_TRY(wait_for(stream, POLLOUT, until));
    }
  }
  return {};
}

std::unique_ptr<ByteStream> make_descriptor_stream(int descriptor, std::string name) {
  return std::make_unique<DescriptorStream>(Descriptor{descriptor}, std::move(name));
}

Result<std::pair<std::unique_ptr<ByteStream>, std::unique_ptr<ByteStream>>> make_pipe() {
  std::array<int, 2> ends = {-1, -1};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return tl::make_unexpected(system_error("create", "socket pair", errno));
  }
  return std::pair{make_descriptor_stream(ends[0], "in-process"),
                   make_descriptor_stream(ends[1], "in-process")};
}

}  // namespace sphere::transport
