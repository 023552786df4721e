// SPDX-License-Identifier: MIT
#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <sys/un.h>
#include <system_error>
#include <utility>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "libsdk/src/transport/descriptor_stream.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/result.h"
#include "sphere/transport/byte_stream.h"
#include "sphere/transport/place.h"

namespace sphere::transport {

namespace {

constexpr std::chrono::milliseconds kConnectLimit{3000};

struct AddressDeleter {
  void operator()(addrinfo* list) const { ::freeaddrinfo(list); }
};

// 0, or the number of the error.
int connect_within(const Descriptor& socket, const addrinfo& address) {
  if (::connect(socket.get(), address.ai_addr, address.ai_addrlen) == 0) {
    return 0;
  }
  if (errno != EINPROGRESS) {
    return errno;
  }
  pollfd poll{.fd = socket.get(), .events = POLLOUT, .revents = 0};
  if (::poll(&poll, 1, static_cast<int>(kConnectLimit.count())) != 1) {
    return ETIMEDOUT;
  }
  int number = 0;
  socklen_t size = sizeof(number);
  ::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &number, &size);
  return number;
}

Error nobody_there(const std::string& target, const std::string& why) {
  return Error{Errc::unavailable, fmt::format("no board at {}: {}", target, why),
               Hint{.reason = "link.no-board",
                    .value = target,
                    .next = "see whether the board runs and serves this port: sphere board show"}};
}

}  // namespace

Result<std::unique_ptr<ByteStream>> open_tcp(std::string_view host_and_port) {
  SPHERE_TRY_ASSIGN(const Place place, parse_tcp_target(host_and_port));
  const auto colon = place.target.rfind(':');
  std::string host = place.target.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
  }
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int status =
      ::getaddrinfo(host.c_str(), place.target.substr(colon + 1).c_str(), &hints, &found);
  if (status != 0) {
    return tl::make_unexpected(nobody_there(place.target, ::gai_strerror(status)));
  }
  const std::unique_ptr<addrinfo, AddressDeleter> addresses{found};
  int number = ECONNREFUSED;
  for (const addrinfo* address = found; address != nullptr; address = address->ai_next) {
    Descriptor socket{::socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    number = socket ? connect_within(socket, *address) : errno;
    if (number == 0) {
      const int on = 1;
      ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
      // What waits here stands before every later packet.
      constexpr int kBuffer = 16384;
      ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDBUF, &kBuffer, sizeof(kBuffer));
      return std::make_unique<DescriptorStream>(std::move(socket), connection_path(place));
    }
  }
  return tl::make_unexpected(nobody_there(place.target, std::generic_category().message(number)));
}

Result<std::unique_ptr<ByteStream>> open_unix(const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    return tl::make_unexpected(nobody_there(path, std::generic_category().message(ENAMETOOLONG)));
  }
  std::memcpy(static_cast<char*>(address.sun_path), path.data(), path.size());
  Descriptor socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  // NOLINTNEXTLINE(*-reinterpret-cast): the interface of sockets
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return tl::make_unexpected(nobody_there(path, std::generic_category().message(errno)));
  }
  return std::make_unique<DescriptorStream>(std::move(socket), path);
}

}  // namespace sphere::transport
