// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "sphere/core/descriptor.h"
#include "sphere/core/result.h"
#include "sphere/slip/packet.h"

namespace sphere::transport {

// Makes the TUN interface `name` with 192.168.35.1/24 and switches it on; it goes with the
// descriptor. Errors: permission (CAP_NET_ADMIN is missing), busy (the name is taken), unsupported
// (no /dev/net/tun), io.
[[nodiscard]] Result<Descriptor> make_tun(const std::string& name);

// Which conversations began on this PC: only their packets may come in from a board. Not for use
// from two threads at once.
class FlowTable {
 public:
  static constexpr std::size_t kLimit = 4096;  // The oldest goes.

  explicit FlowTable(std::vector<std::uint16_t> allowed_ports = {})
      : allowed_{std::move(allowed_ports)} {}

  // Notes a packet of this PC. Both packets must have passed slip::check_packet().
  void note_outgoing(std::span<const std::byte> packet);
  // Whether a packet of a board belongs to something this PC began (and is no connection request),
  // or goes to a port that boards may reach.
  [[nodiscard]] bool admits(std::span<const std::byte> packet) const;

 private:
  using Key = std::uint64_t;
  [[nodiscard]] static Key key_of(std::span<const std::byte> packet, bool outgoing);

  std::vector<std::uint16_t> allowed_;
  std::vector<Key> flows_;  // Ring of kLimit.
  std::size_t next_ = 0;
};

// A reset for the TCP connection request `packet`, as if its destination had answered; empty for
// other packets. So programs learn at once that there is no board.
[[nodiscard]] std::vector<std::byte> refuse(std::span<const std::byte> packet);

// Moves packets between the TUN interface and boards: board n is 192.168.35.(n + 1) for this PC and
// 192.168.35.2 on its wire. A thread reads the interface; take() is called by the boards' threads.
class TunRouter {
 public:
  // Sends a packet to the board of that address on this PC; false: there is none.
  using Send = std::function<bool(slip::Address, std::span<const std::byte>)>;

  TunRouter(Descriptor tun, std::vector<std::uint16_t> allowed_ports, Send send);
  TunRouter(const TunRouter&) = delete;
  TunRouter& operator=(const TunRouter&) = delete;
  TunRouter(TunRouter&&) = delete;
  TunRouter& operator=(TunRouter&&) = delete;
  ~TunRouter();

  // A packet from the board with `address`; true when it belongs to the interface.
  bool take(slip::Address address, std::span<const std::byte> packet);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sphere::transport
