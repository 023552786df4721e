// SPDX-License-Identifier: MIT
#include "device-agent/agent/packet.h"

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <optional>
#include <span>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <utility>

#include "device-agent/applibs/src/broker_protocol.h"
#include "sphere/core/descriptor.h"

namespace sphere::agent {
namespace {

// Takes one descriptor out of a message and closes all others that an app may have sent along.
Descriptor take_descriptor(msghdr& header) {
  Descriptor first;
  for (auto* part = CMSG_FIRSTHDR(&header); part != nullptr; part = CMSG_NXTHDR(&header, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) {
      continue;
    }
    const auto count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int number = -1;
      // NOLINTNEXTLINE(cppcoreguidelines-pro-bounds-pointer-arithmetic): below cmsg_len.
      std::memcpy(&number, CMSG_DATA(part) + (i * sizeof(int)), sizeof number);
      Descriptor taken{number};
      if (!first) {
        first = std::move(taken);
      }
    }
  }
  return first;
}

}  // namespace

std::optional<Packet> receive_packet(int socket, bool wait, bool& ended) {
  std::array<std::byte, SPHERE_FRAME_MAX + 1> buffer = {};
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(4 * sizeof(int))> control = {};
  iovec part = {.iov_base = buffer.data(), .iov_len = buffer.size()};
  msghdr header = {};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  ssize_t count = 0;
  do {
    count = ::recvmsg(socket, &header, MSG_CMSG_CLOEXEC | (wait ? 0 : MSG_DONTWAIT));
  } while (count < 0 && errno == EINTR);
  ended = count == 0 || (count < 0 && errno != EAGAIN);
  if (count < 0) {
    return std::nullopt;
  }
  // An empty packet looks like the end, but may carry descriptors all the same.
  auto descriptor = take_descriptor(header);
  if (count == 0) {
    return std::nullopt;
  }
  Packet packet{.bytes = {buffer.begin(), buffer.begin() + count}};
  packet.descriptor = std::move(descriptor);
  return packet;
}

bool send_packet(int socket, std::span<const std::byte> bytes, int descriptor_to_pass) {
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(int))> control = {};
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-const-cast): sendmsg() does not write through it.
  iovec part = {.iov_base = const_cast<std::byte*>(bytes.data()), .iov_len = bytes.size()};
  msghdr header = {};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  if (descriptor_to_pass >= 0) {
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    auto* rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(rights), &descriptor_to_pass, sizeof(int));
  }
  ssize_t sent = 0;
  do {
    sent = ::sendmsg(socket, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
  } while (sent < 0 && errno == EINTR);
  return sent == static_cast<ssize_t>(bytes.size());
}

}  // namespace sphere::agent
