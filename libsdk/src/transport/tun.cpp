// SPDX-License-Identifier: MIT
#include "sphere/transport/tun.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fcntl.h>
#include <functional>
#include <linux/if_tun.h>
#include <map>
#include <memory>
#include <mutex>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <span>
#include <string>
#include <string_view>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "sphere/core/descriptor.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/slip/codec.h"
#include "sphere/slip/packet.h"

namespace sphere::transport {

namespace {

constexpr slip::Address kNetMask = 0xFFFFFF00;
constexpr std::size_t kHeader = 20;
constexpr std::size_t kTcpHeader = 20;
constexpr std::size_t kProtocolAt = 9;
constexpr std::size_t kSourceAt = 12;
constexpr std::size_t kDestinationAt = 16;

unsigned byte_at(std::span<const std::byte> bytes, std::size_t at) {
  return std::to_integer<unsigned>(bytes[at]);
}

std::uint16_t word_at(std::span<const std::byte> bytes, std::size_t at) {
  return static_cast<std::uint16_t>(byte_at(bytes, at) << 8U | byte_at(bytes, at + 1));
}

std::uint32_t long_at(std::span<const std::byte> bytes, std::size_t at) {
  return static_cast<std::uint32_t>(word_at(bytes, at)) << 16U | word_at(bytes, at + 2);
}

void put_word(std::span<std::byte> bytes, std::size_t at, std::uint32_t word) {
  bytes[at] = static_cast<std::byte>(word >> 8U & 0xFFU);
  bytes[at + 1] = static_cast<std::byte>(word & 0xFFU);
}

void put_long(std::span<std::byte> bytes, std::size_t at, std::uint32_t number) {
  put_word(bytes, at, number >> 16U);
  put_word(bytes, at + 2, number & 0xFFFFU);
}

tl::unexpected<Error> cannot_make(const std::string& name, int number) {
  switch (number) {
    case EPERM:
    case EACCES:
      return fail(Errc::permission,
                  fmt::format("making the interface {} needs the capability CAP_NET_ADMIN", name),
                  {.reason = "link.permission",
                   .value = name,
                   .next = "for sphere itself it is not needed; for other programs: "
                           "sudo -E sphere link up"});
    case ENOENT:
    case ENODEV:
    case ENXIO:
      return fail(Errc::unsupported, "this kernel has no TUN device (/dev/net/tun)",
                  {.reason = "link.permission",
                   .value = "/dev/net/tun",
                   .next = "load it: sudo modprobe tun; or use sphere link forward"});
    case EBUSY:
      return fail(Errc::busy, fmt::format("the interface {} is there already", name),
                  {.reason = "link.busy",
                   .value = name,
                   .next = "take it away: sphere link down; or choose another --interface"});
    default:
      return tl::make_unexpected(system_error("make the interface", name, number));
  }
}

void set_address(ifreq& request, sockaddr& target, slip::Address address) {
  sockaddr_in inet = {};
  inet.sin_family = AF_INET;
  inet.sin_addr.s_addr = htonl(address);
  static_assert(sizeof(inet) <= sizeof(target));
  std::memcpy(&target, &inet, sizeof(inet));
  static_cast<void>(request);
}

}  // namespace

Result<Descriptor> make_tun(const std::string& name) {
  ifreq request = {};
  if (name.empty() || name.size() >= sizeof(request.ifr_name) ||
      name.find_first_of("/ ") != std::string::npos) {
    return fail(Errc::invalid_argument, fmt::format("\"{}\" is no name of an interface", name),
                {.reason = "usage.bad-value", .value = name, .next = "use up to 15 letters"});
  }
  Descriptor tun{::open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK)};
  if (!tun) {
    return cannot_make(name, errno);
  }
  name.copy(static_cast<char*>(request.ifr_name), sizeof(request.ifr_name) - 1);
  request.ifr_flags = IFF_TUN | IFF_NO_PI;
  if (::ioctl(tun.get(), TUNSETIFF, &request) != 0) {
    return cannot_make(name, errno);
  }
  const Descriptor socket{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  const auto apply = [&](unsigned long code) { return ::ioctl(socket.get(), code, &request) == 0; };
  set_address(request, request.ifr_addr, slip::kHostAddress);
  bool good = apply(SIOCSIFADDR);
  set_address(request, request.ifr_netmask, kNetMask);
  good = good && apply(SIOCSIFNETMASK);
  request.ifr_mtu = slip::kMtu;
  good = good && apply(SIOCSIFMTU);
  request.ifr_flags = IFF_UP | IFF_RUNNING | IFF_NOARP;
  good = good && apply(SIOCSIFFLAGS);
  if (!good) {
    return cannot_make(name, errno);
  }
  return tun;
}

// Protocol, this PC's port, the board's port; for ICMP the echo's identifier.
FlowTable::Key FlowTable::key_of(std::span<const std::byte> packet, bool outgoing) {
  const std::size_t header = std::size_t{4} * (byte_at(packet, 0) & 0x0FU);
  const unsigned protocol = byte_at(packet, kProtocolAt);
  const std::uint32_t board = long_at(packet, outgoing ? kDestinationAt : kSourceAt) & ~kNetMask;
  if (packet.size() < header + 8) {
    return 0;
  }
  std::uint64_t ports = 0;
  if (protocol == slip::kIcmp) {
    ports = word_at(packet, header + 4);
  } else {
    const std::uint32_t source = word_at(packet, header);
    const std::uint32_t destination = word_at(packet, header + 2);
    ports = outgoing ? source << 16U | destination : destination << 16U | source;
  }
  return static_cast<Key>(board) << 40U | static_cast<Key>(protocol) << 32U | ports;
}

void FlowTable::note_outgoing(std::span<const std::byte> packet) {
  const Key key = key_of(packet, true);
  if (key == 0 || std::ranges::find(flows_, key) != flows_.end()) {
    return;
  }
  if (flows_.size() < kLimit) {
    flows_.push_back(key);
  } else {
    flows_[next_++ % kLimit] = key;
  }
}

bool FlowTable::admits(std::span<const std::byte> packet) const {
  const std::size_t header = std::size_t{4} * (byte_at(packet, 0) & 0x0FU);
  const unsigned protocol = byte_at(packet, kProtocolAt);
  if ((protocol == slip::kTcp || protocol == slip::kUdp) && packet.size() >= header + 4 &&
      std::ranges::find(allowed_, word_at(packet, header + 2)) != allowed_.end()) {
    return true;
  }
  const Key key = key_of(packet, false);
  const bool answers = protocol == slip::kUdp || slip::is_answer(packet);
  return key != 0 && answers && std::ranges::find(flows_, key) != flows_.end();
}

std::vector<std::byte> refuse(std::span<const std::byte> packet) {
  constexpr unsigned kSyn = 0x02;
  constexpr unsigned kAck = 0x10;
  constexpr unsigned kReset = 0x04;
  const std::size_t header = std::size_t{4} * (byte_at(packet, 0) & 0x0FU);
  if (byte_at(packet, kProtocolAt) != slip::kTcp || packet.size() < header + kTcpHeader ||
      (byte_at(packet, header + 13) & (kSyn | kAck)) != kSyn) {
    return {};
  }
  std::vector<std::byte> answer(kHeader + kTcpHeader);
  answer[0] = std::byte{0x45};
  put_word(answer, 2, static_cast<std::uint32_t>(answer.size()));
  answer[8] = std::byte{64};
  answer[kProtocolAt] = std::byte{slip::kTcp};
  put_long(answer, kSourceAt, long_at(packet, kDestinationAt));
  put_long(answer, kDestinationAt, long_at(packet, kSourceAt));
  put_word(answer, 10, slip::internet_check_sum(std::span{answer}.first(kHeader)));
  const auto tcp = std::span{answer}.subspan(kHeader);
  put_word(tcp, 0, word_at(packet, header + 2));
  put_word(tcp, 2, word_at(packet, header));
  put_long(tcp, 8, long_at(packet, header + 4) + 1);
  tcp[12] = std::byte{0x50};
  tcp[13] = static_cast<std::byte>(kReset | kAck);
  // The check sum is over addresses, protocol, length and the TCP header.
  std::vector<std::byte> summed(answer.begin() + kSourceAt, answer.end());
  summed.resize(summed.size() + 4);
  put_word(summed, summed.size() - 4, slip::kTcp);
  put_word(summed, summed.size() - 2, kTcpHeader);
  put_word(tcp, 16, slip::internet_check_sum(summed));
  return answer;
}

struct TunRouter::State {
  Descriptor tun;
  Send send;
  Descriptor stop;
  std::mutex mutex = {};  // Guards the flows.
  FlowTable flows;
  std::thread thread = {};

  void loop();
  void pass(std::span<std::byte> packet);
};

TunRouter::TunRouter(Descriptor tun, std::vector<std::uint16_t> allowed_ports, Send send)
    : state_{new State{.tun = std::move(tun),
                       .send = std::move(send),
                       .stop = Descriptor{::eventfd(0, EFD_CLOEXEC)},
                       .flows = FlowTable{std::move(allowed_ports)}}} {
  state_->thread = std::thread{[state = state_.get()] { state->loop(); }};
}

TunRouter::~TunRouter() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(state_->stop.get(), &one, sizeof(one));
  state_->thread.join();
}

void TunRouter::State::pass(std::span<std::byte> packet) {
  if (packet.size() < kHeader || packet.size() > slip::kMtu || byte_at(packet, 0) >> 4U != 4) {
    return;  // IPv6 and the like.
  }
  const slip::Address address = long_at(packet, kDestinationAt);
  if (slip::check_packet(packet, {.source = slip::kHostAddress, .destination = address})) {
    return;
  }
  {
    const std::scoped_lock lock{mutex};
    flows.note_outgoing(packet);
  }
  const std::vector<std::byte> original(packet.begin(), packet.end());
  slip::rewrite_destination(packet, slip::kBoardAddress);
  if (!send(address, packet)) {
    const auto answer = refuse(original);
    if (!answer.empty()) {
      [[maybe_unused]] const ssize_t written = ::write(tun.get(), answer.data(), answer.size());
    }
  }
}

void TunRouter::State::loop() {
  std::array<std::byte, 2048> packet = {};
  while (true) {
    std::array polls = {pollfd{.fd = stop.get(), .events = POLLIN, .revents = 0},
                        pollfd{.fd = tun.get(), .events = POLLIN, .revents = 0}};
    ::poll(polls.data(), polls.size(), -1);
    if (polls.front().revents != 0 || (polls.back().revents & POLLERR) != 0) {
      return;
    }
    const ssize_t count = ::read(tun.get(), packet.data(), packet.size());
    if (count > 0) {
      pass(std::span{packet}.first(static_cast<std::size_t>(count)));
    }
  }
}

bool TunRouter::take(slip::Address address, std::span<const std::byte> packet) {
  std::vector<std::byte> copy(packet.begin(), packet.end());
  slip::rewrite_source(copy, address);
  {
    const std::scoped_lock lock{state_->mutex};
    if (!state_->flows.admits(copy)) {
      return false;
    }
  }
  // A full interface drops, as networks do.
  [[maybe_unused]] const ssize_t written = ::write(state_->tun.get(), copy.data(), copy.size());
  return true;
}

}  // namespace sphere::transport
