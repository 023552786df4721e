// SPDX-License-Identifier: MIT
#include <arpa/inet.h>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <netinet/in.h>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/un.h>
#include <system_error>

#include <tl/expected.hpp>

#include "sphere/core/descriptor.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/http/server.h"

namespace sphere::http {

namespace {

constexpr int kBacklog = 64;  // Connections that wait while all places are taken.

tl::unexpected<Error> listen_error(int number, const std::string& where) {
  const std::string text = std::generic_category().message(number);
  if (number == EADDRINUSE) {
    return fail(Errc::busy, "another program listens on " + where,
                {.reason = "link.busy",
                 .value = where,
                 .next = "end that program, or choose another address"});
  }
  if (number == EACCES || number == EPERM) {
    return fail(Errc::permission, "no permission to listen on " + where,
                {.reason = "link.permission", .value = where, .next = "choose a port above 1023"});
  }
  if (number == EADDRNOTAVAIL) {
    return fail(Errc::invalid_argument, "this machine has no address " + where,
                {.reason = "usage.bad-value", .value = where});
  }
  return fail(Errc::io, "cannot listen on " + where + ": " + text,
              {.reason = "link.busy", .value = where});
}

Result<Descriptor> bind_and_listen(int family, const sockaddr* address, socklen_t length,
                                   const std::string& where) {
  Descriptor socket{::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  const int on = 1;
  if (!socket || (family != AF_UNIX &&
                  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0)) {
    return listen_error(errno, where);
  }
  if (::bind(socket.get(), address, length) != 0 || ::listen(socket.get(), kBacklog) != 0) {
    return listen_error(errno, where);
  }
  return socket;
}

Result<sockaddr_un> unix_address(const std::filesystem::path& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  const std::string& text = path.native();
  if (text.empty() || text.size() >= sizeof(address.sun_path) ||
      text.find('\0') != std::string::npos) {
    return fail(Errc::invalid_argument,
                "the path of a socket has 1 to " + std::to_string(sizeof(address.sun_path) - 1) +
                    " bytes, this one " + std::to_string(text.size()),
                {.reason = "usage.bad-value", .value = text, .next = "choose a shorter directory"});
  }
  std::memcpy(static_cast<char*>(address.sun_path), text.data(), text.size());
  return address;
}

const sockaddr* generic(const void* address) { return static_cast<const sockaddr*>(address); }

// Whether a socket file is there that nobody listens on.
bool is_stale(const std::filesystem::path& path, const sockaddr_un& address) {
  struct stat status = {};
  if (::lstat(path.c_str(), &status) != 0 || !S_ISSOCK(status.st_mode)) {
    return false;
  }
  const Descriptor probe{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  return probe && ::connect(probe.get(), generic(&address), sizeof(address)) != 0 &&
         errno == ECONNREFUSED;
}

}  // namespace

Result<Descriptor> listen_tcp(const std::string& address, std::uint16_t port) {
  const std::string where =
      (address.find(':') == std::string::npos ? address : '[' + address + ']') + ':' +
      std::to_string(port);
  sockaddr_in v4 = {};
  if (::inet_pton(AF_INET, address.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    return bind_and_listen(AF_INET, generic(&v4), sizeof(v4), where);
  }
  sockaddr_in6 v6 = {};
  if (::inet_pton(AF_INET6, address.c_str(), &v6.sin6_addr) == 1) {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    return bind_and_listen(AF_INET6, generic(&v6), sizeof(v6), where);
  }
  return fail(Errc::invalid_argument, "not an IP address: " + address,
              {.reason = "usage.bad-value", .value = address});
}

Result<Descriptor> listen_unix(const std::filesystem::path& path) {
  SPHERE_TRY_ASSIGN(const sockaddr_un address, unix_address(path));
  if (is_stale(path, address)) {
    ::unlink(path.c_str());
  }
  // The mode must hold from the first moment on. Linux gives a socket file the mode of the socket
  // (fchmod before bind) without the bits of the umask.
  Descriptor socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  if (!socket || ::fchmod(socket.get(), S_IRUSR | S_IWUSR) != 0) {
    return tl::make_unexpected(system_error("make a socket for", path, errno));
  }
  if (::bind(socket.get(), generic(&address), sizeof(address)) != 0) {
    return errno == EADDRINUSE || errno == EEXIST
               ? Result<Descriptor>{listen_error(EADDRINUSE, path.native())}
               : Result<Descriptor>{
                     tl::make_unexpected(system_error("make the socket", path, errno))};
  }
  if (::listen(socket.get(), kBacklog) != 0) {
    return listen_error(errno, path.native());
  }
  return socket;
}

}  // namespace sphere::http
