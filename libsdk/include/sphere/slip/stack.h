// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <poll.h>
#include <span>
#include <string_view>
#include <vector>

#include "sphere/core/descriptor.h"
#include "sphere/core/result.h"
#include "sphere/slip/packet.h"

namespace sphere::slip {

// The TCP/IP stack of this process, for wires without a network driver. It needs no privilege and
// touches no interface of the machine. Its state is the process's: one Stack at a time, made by
// main and handed down; all Interfaces must go before it.
class Stack {
 public:
  // Errors: busy when this process has one already.
  [[nodiscard]] static Result<std::unique_ptr<Stack>> create();
  Stack(const Stack&) = delete;
  Stack& operator=(const Stack&) = delete;
  Stack(Stack&&) = delete;
  Stack& operator=(Stack&&) = delete;
  ~Stack();

 private:
  friend class Interface;
  struct State;
  explicit Stack(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// What happened to the connection attempt that ended last.
enum class Attempt : std::uint8_t {
  none,  // There was none yet.
  connected,
  refused,  // The other side answered: nothing listens there.
  silent,   // The other side gave no answer within the limit.
};

struct ConnectionCounters {
  std::size_t open = 0;
  std::uint64_t connected = 0;
  std::uint64_t refused = 0;
  std::uint64_t silent = 0;
  std::uint64_t lost = 0;  // Ended by a reset after they were connected.
  Attempt last = Attempt::none;
};

// One end of one wire. It bridges TCP connections over the wire to stream sockets of this machine,
// with back-pressure in both directions; an end of one direction is passed on. Any number of
// interfaces may have the same addresses: each connection belongs to its own wire, and nothing is
// forwarded from one to another.
//
// One thread calls add_poll(), poll(2), input() and serve() in a loop. `output` and `wake` may be
// called by any thread and must not call the interface.
class Interface {
 public:
  struct Config {
    Address own = kHostAddress;
    Address peer = kBoardAddress;
    // Sends a packet, whose bytes are valid during the call. Returns false when there is no room:
    // the packet comes again after resume().
    std::function<bool(std::span<const std::byte> packet)> output = {};
    // Something happened outside the thread's own calls: serve() is wanted.
    std::function<void()> wake = {};
    // How long a connection attempt may stay without an answer.
    std::chrono::milliseconds connect_limit = std::chrono::seconds{5};
  };
  static constexpr std::size_t kMaxConnections = 64;

  // Errors: too_large (the stack has 250 interfaces).
  [[nodiscard]] static Result<std::unique_ptr<Interface>> create(Stack& stack, Config config);
  Interface(const Interface&) = delete;
  Interface& operator=(const Interface&) = delete;
  Interface(Interface&&) = delete;
  Interface& operator=(Interface&&) = delete;
  // As abort_all().
  ~Interface();

  // A packet of the wire that check_packet() has passed.
  void input(std::span<const std::byte> packet);

  // How many sockets connect() has a place for; one more is closed.
  [[nodiscard]] std::size_t room() const;
  // Connects `socket`, which must not block, with TCP port `port` of the peer. The socket is closed
  // when that fails (see counters()), or later when either side ends.
  void connect(std::uint16_t port, Descriptor socket);

  // Accepts connections at `port` of our address. `target` gives the socket, which must not block,
  // that a connection is bridged to, or none to reset it. Errors: busy (listens already).
  [[nodiscard]] Result<void> listen(std::uint16_t port, std::function<Descriptor()> target);

  // Adds what to poll for.
  void add_poll(std::vector<pollfd>& polls) const;
  // Moves bytes both ways, ends what has ended.
  void serve();
  // There is room for output again.
  void resume();
  // Resets all connections: the wire is gone. Sockets are closed.
  void abort_all();

  [[nodiscard]] ConnectionCounters counters() const;

 private:
  struct State;
  explicit Interface(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace sphere::slip
