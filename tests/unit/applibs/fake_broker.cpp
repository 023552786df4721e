// SPDX-License-Identifier: MIT
#include "tests/unit/applibs/fake_broker.h"

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

#include <catch2/catch.hpp>

extern "C" {
#include "device-agent/applibs/src/broker_client.h"
}

namespace sphere::test {
namespace {

std::uint32_t read_u32(const std::string& frame, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    value |= static_cast<std::uint32_t>(static_cast<unsigned char>(frame.at(at + i))) << (8 * i);
  }
  return value;
}

std::string u16(std::uint16_t value) { return u32(value).substr(0, 2); }

std::string frame_of(const Request& request, const Reply& reply) {
  if (reply.raw) {
    return *reply.raw;
  }
  const auto length = reply.length.value_or(static_cast<std::uint32_t>(reply.payload.size()));
  return u16(reply.version) + u16(reply.verb.value_or(request.verb)) +
         u32(request.id + reply.id_offset) + u32(static_cast<std::uint32_t>(reply.status)) +
         u32(length) + reply.payload;
}

void send_frame(int socket, const std::string& frame, const std::vector<int>& descriptors) {
  std::string bytes = frame;
  iovec piece = {bytes.data(), bytes.size()};
  msghdr header = {};
  header.msg_iov = &piece;
  header.msg_iovlen = 1;
  alignas(cmsghdr) std::array<char, 256> control = {};
  if (!descriptors.empty()) {
    const auto size = descriptors.size() * sizeof(int);
    header.msg_control = control.data();
    header.msg_controllen = CMSG_SPACE(size);
    cmsghdr* part = CMSG_FIRSTHDR(&header);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(size);
    std::memcpy(CMSG_DATA(part), descriptors.data(), size);
  }
  static_cast<void>(::sendmsg(socket, &header, MSG_NOSIGNAL));  // The client may be gone.
  for (const int descriptor : descriptors) {
    ::close(descriptor);
  }
}

}  // namespace

std::string u32(std::uint32_t value) {
  std::string bytes;
  for (unsigned i = 0; i < 4; ++i) {
    bytes.push_back(static_cast<char>(value >> (8 * i) & 0xFFU));
  }
  return bytes;
}

Reply hand_over(int descriptor, std::uint8_t kind) {
  Reply reply;
  reply.payload = std::string(1, static_cast<char>(kind));
  reply.descriptors = {descriptor};
  return reply;
}

FakeBroker::FakeBroker() {
  std::array<int, 2> ends = {};
  REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) == 0);
  client_ = Descriptor(ends[0]);
  server_ = Descriptor(ends[1]);
  thread_ = std::thread([this] { serve(); });
}

FakeBroker::~FakeBroker() {
  ::shutdown(server_.get(), SHUT_RDWR);
  thread_.join();
}

int FakeBroker::take_client() { return client_.release(); }

void FakeBroker::answer(Reply reply) {
  const std::lock_guard guard(lock_);
  script_.push(std::move(reply));
}

std::vector<Request> FakeBroker::requests() {
  const std::lock_guard guard(lock_);
  return requests_;
}

std::queue<Reply> FakeBroker::replies_to(const Request& request) {
  const std::lock_guard guard(lock_);
  requests_.push_back(request);
  std::queue<Reply> replies;
  do {
    if (script_.empty()) {
      Reply unexpected;
      unexpected.status = EPROTO;
      replies.push(unexpected);
      return replies;
    }
    replies.push(std::move(script_.front()));
    script_.pop();
  } while (replies.back().is_followed);
  return replies;
}

void FakeBroker::serve() {
  std::array<char, 4096> buffer = {};
  for (;;) {
    const auto got = ::recv(server_.get(), buffer.data(), buffer.size(), 0);
    if (got < 16) {
      return;
    }
    const std::string frame(buffer.data(), static_cast<std::size_t>(got));
    const Request request = {.version = static_cast<std::uint16_t>(read_u32(frame, 0) & 0xFFFFU),
                             .verb = static_cast<std::uint16_t>(read_u32(frame, 0) >> 16U),
                             .id = read_u32(frame, 4),
                             .length = read_u32(frame, 12),
                             .payload = frame.substr(16)};
    for (auto replies = replies_to(request); !replies.empty(); replies.pop()) {
      const auto& reply = replies.front();
      if (reply.is_hang_up) {
        ::shutdown(server_.get(), SHUT_RDWR);
        return;
      }
      if (!reply.is_silent) {
        send_frame(server_.get(), frame_of(request, reply), reply.descriptors);
      }
    }
  }
}

BrokerOfProcess::BrokerOfProcess() { sphere_broker_adopt(take_client()); }

}  // namespace sphere::test
