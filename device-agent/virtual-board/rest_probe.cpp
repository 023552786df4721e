// SPDX-License-Identifier: MIT
#include "device-agent/virtual-board/rest_probe.h"

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <functional>
#include <string>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <utility>

#include <tl/expected.hpp>

#include "device-agent/virtual-board/event_loop.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"

namespace sphere::virtual_board {

Result<RestProbe> RestProbe::start(EventLoop& loop, const std::filesystem::path& socket,
                                   std::function<void()> answered) {
  Descriptor connection{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  const std::string path = socket.string();
  if (path.size() >= sizeof address.sun_path) {
    return tl::unexpected<Error>{system_error("connect to", socket, ENAMETOOLONG)};
  }
  std::memcpy(static_cast<char*>(address.sun_path), path.data(), path.size());
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): the socket API's own way
  const auto* const generic = reinterpret_cast<const sockaddr*>(&address);
  if (!connection || ::connect(connection.get(), generic, sizeof address) != 0 ||
      ::shutdown(connection.get(), SHUT_WR) != 0) {
    return tl::unexpected<Error>{system_error("connect to", socket, errno)};
  }
  SPHERE_TRY_ASSIGN(auto watch,
                    loop.watch(connection.get(), EPOLLIN | EPOLLRDHUP,
                               [answered = std::move(answered)](std::uint32_t) { answered(); }));
  return RestProbe{std::move(connection), std::move(watch)};
}

}  // namespace sphere::virtual_board
