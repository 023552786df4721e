// SPDX-License-Identifier: MIT
#include "device-agent/virtual-board/packet_socket.h"

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <utility>
#include <vector>

#include <tl/expected.hpp>

#include "device-agent/applibs/src/broker_protocol.h"
#include "device-agent/virtual-board/event_loop.h"
#include "device-agent/virtual-board/frame.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"

namespace sphere::virtual_board {
namespace {

// False when the packet could not be put in the socket's queue at once.
bool send_packet(int socket, std::vector<std::byte>& packet, int descriptor) {
  iovec part = {.iov_base = packet.data(), .iov_len = packet.size()};
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control = {};
  if (descriptor >= 0) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
  }
  return ::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0;
}

}  // namespace

Result<std::pair<Descriptor, Descriptor>> make_packet_pair() {
  std::array<int, 2> ends = {};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return tl::unexpected<Error>{system_error("create", "socket pair", errno)};
  }
  return std::pair{Descriptor{ends[0]}, Descriptor{ends[1]}};
}

Result<PacketSocket> PacketSocket::open(EventLoop& loop, Descriptor socket, Serve serve,
                                        Ended ended) {
  auto state = std::make_unique<State>();
  state->socket = std::move(socket);
  state->serve = std::move(serve);
  state->ended = std::move(ended);
  State* const raw = state.get();
  SPHERE_TRY_ASSIGN(auto watch, loop.watch(raw->socket.get(), EPOLLIN, [raw](std::uint32_t) {
    if (!serve_one(*raw)) {
      const auto ended_now = std::move(raw->ended);
      ended_now();
    }
  }));
  return PacketSocket{std::move(state), std::move(watch)};
}

// Answers one packet. False when the socket is at its end.
bool PacketSocket::serve_one(State& state) {
  // One byte more than a frame, so that a longer packet is seen as such.
  std::array<std::byte, SPHERE_FRAME_MAX + 1> buffer;  // NOLINT(*-member-init): filled by recv
  const ssize_t size = ::recv(state.socket.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (size < 0) {
    return errno == EAGAIN || errno == EINTR;
  }
  if (size == 0) {
    return false;
  }
  const auto frame = parse_request(std::span{buffer}.first(static_cast<std::size_t>(size)));
  auto reply = frame.valid ? state.serve(frame) : Reply{.status = EPROTO};
  state.malformed = reply.status == EPROTO ? state.malformed + 1 : 0;
  auto packet = encode_reply(frame, reply.status, reply.payload);
  return send_packet(state.socket.get(), packet, reply.descriptor.get()) &&
         state.malformed < kMalformedLimit;
}

}  // namespace sphere::virtual_board
