// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <netinet/in.h>
#include <sys/socket.h>

#include "sphere/core/descriptor.h"

namespace sphere::test {

// The port of an IPv4 socket; 0 when it has none.
[[nodiscard]] inline std::uint16_t bound_port(const Descriptor& socket) {
  sockaddr_in address = {};
  socklen_t length = sizeof(address);
  void* const generic = &address;
  return ::getsockname(socket.get(), static_cast<sockaddr*>(generic), &length) == 0
             ? ntohs(address.sin_port)
             : std::uint16_t{0};
}

}  // namespace sphere::test
