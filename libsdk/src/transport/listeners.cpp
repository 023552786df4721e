// SPDX-License-Identifier: MIT
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <netinet/in.h>
#include <string>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "sphere/core/descriptor.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/transport/board_link.h"

namespace sphere::transport {

namespace {

constexpr int kBacklog = 64;

}  // namespace

Result<Descriptor> listen_at(const std::filesystem::path& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  const std::string text = path.string();
  if (text.size() >= sizeof(address.sun_path)) {
    return fail(Errc::too_large,
                fmt::format("{} is longer than the {} bytes that the name of a socket may have",
                            text, sizeof(address.sun_path) - 1),
                {.reason = "local.permission",
                 .value = text,
                 .next = "set XDG_RUNTIME_DIR to a directory with a shorter name"});
  }
  std::memcpy(static_cast<char*>(address.sun_path), text.data(), text.size());
  Descriptor socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  ::unlink(text.c_str());
  // NOLINTNEXTLINE(*-reinterpret-cast): the interface of sockets
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      ::chmod(text.c_str(), S_IRUSR | S_IWUSR) != 0 || ::listen(socket.get(), kBacklog) != 0) {
    return tl::make_unexpected(system_error("listen at", path, errno));
  }
  return socket;
}

Result<Descriptor> listen_at_loopback(std::uint16_t port) {
  Descriptor socket{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  const int on = 1;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  // NOLINTNEXTLINE(*-reinterpret-cast): the interface of sockets
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      ::listen(socket.get(), kBacklog) != 0) {
    if (errno == EADDRINUSE) {
      return fail(Errc::busy, fmt::format("port {} of 127.0.0.1 is taken", port),
                  {.reason = "link.busy",
                   .value = std::to_string(port),
                   .next = "see who holds it: sphere doctor --only ports"});
    }
    return tl::make_unexpected(system_error("listen at", fmt::format("127.0.0.1:{}", port), errno));
  }
  return socket;
}

}  // namespace sphere::transport
