// SPDX-License-Identifier: MIT
// What libapplibs does with any packets in place of the agent's replies. The input is
//   u8 length of the payload the caller wants, u8 bit 0: it wants a descriptor,
//   then packets: u8 number of descriptors (0 to 3), u8 length, bytes.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

extern "C" {
#include "device-agent/applibs/src/frame.h"
}

namespace {

constexpr std::uint8_t kUntouched = 0xA5;
constexpr std::size_t kSlack = 16;

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

void send_packet(int socket, std::span<const std::uint8_t> bytes, std::size_t descriptors) {
  std::vector<std::uint8_t> copy(bytes.begin(), bytes.end());
  iovec piece = {copy.data(), copy.size()};
  msghdr header = {};
  header.msg_iov = &piece;
  header.msg_iovlen = 1;
  const std::array<int, 3> numbers = {socket, socket, socket};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(numbers))> control = {};
  if (descriptors > 0) {
    const auto size = descriptors * sizeof(int);
    header.msg_control = control.data();
    header.msg_controllen = CMSG_SPACE(size);
    cmsghdr* part = CMSG_FIRSTHDR(&header);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(size);
    std::memcpy(CMSG_DATA(part), numbers.data(), size);
  }
  static_cast<void>(::sendmsg(socket, &header, MSG_NOSIGNAL | MSG_DONTWAIT));
}

void send_packets(int socket, std::span<const std::uint8_t> input) {
  while (input.size() >= 2) {
    const std::size_t descriptors = input[0] % 4;
    const std::size_t length = std::min<std::size_t>(input[1], input.size() - 2);
    send_packet(socket, input.subspan(2, length), descriptors);
    input = input.subspan(2 + length);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) {
    return 0;
  }
  const std::span<const std::uint8_t> input(data, size);
  std::array<int, 2> ends = {};
  require(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) == 0);
  send_packets(ends[1], input.subspan(2));
  const bool wants_descriptor = (input[1] & 1U) != 0;
  int descriptor = -1;
  std::vector<std::uint8_t> reply(input[0] + kSlack, kUntouched);
  sphere_call call = {};
  call.verb = SPHERE_VERB_GPIO_IN;
  call.reply = reply.data();
  call.reply_length = input[0];
  call.descriptor = wants_descriptor ? &descriptor : nullptr;

  const int error = sphere_exchange(ends[0], 1, &call, 0);

  require(error >= 0 && error <= 4095);
  require((descriptor >= 0) == (error == 0 && wants_descriptor));
  const auto first_kept = error == 0 ? static_cast<std::ptrdiff_t>(input[0]) : 0;
  require(std::all_of(reply.begin() + first_kept, reply.end(),
                      [](std::uint8_t byte) { return byte == kUntouched; }));
  if (descriptor >= 0) {
    ::close(descriptor);
  }
  ::close(ends[0]);
  ::close(ends[1]);
  require(ends[0] < 64);  // Descriptors left open would raise it.
  return 0;
}
