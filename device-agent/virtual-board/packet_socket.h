// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "device-agent/virtual-board/event_loop.h"
#include "device-agent/virtual-board/frame.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/result.h"

namespace sphere::virtual_board {

// What a request is answered with. A status of EPROTO counts as malformed.
struct Reply {
  std::int32_t status = 0;
  std::vector<std::byte> payload = {};
  Descriptor descriptor = {};
};

// A SOCK_SEQPACKET pair; both ends are close-on-exec, the first one does not block.
[[nodiscard]] Result<std::pair<Descriptor, Descriptor>> make_packet_pair();

// Our end of a socket that carries frames: answers each request in order. It ends when the other
// side closes, after three malformed requests in a row, and when the other side sends without
// reading the answers (an honest client has one request under way per thread).
class PacketSocket {
 public:
  using Serve = std::function<Reply(const Frame&)>;
  using Ended = std::function<void()>;

  // `ended` runs once, as the last thing in a handler of the loop, and may destroy this object.
  [[nodiscard]] static Result<PacketSocket> open(EventLoop& loop, Descriptor socket, Serve serve,
                                                 Ended ended);

 private:
  struct State {
    Descriptor socket;
    Serve serve;
    Ended ended;
    int malformed = 0;
  };
  PacketSocket(std::unique_ptr<State> state, EventLoop::Watch watch)
      : state_{std::move(state)}, watch_{std::move(watch)} {}
  [[nodiscard]] static bool serve_one(State& state);

  std::unique_ptr<State> state_;  // A fixed place for the handler.
  EventLoop::Watch watch_;        // Goes first.
};

}  // namespace sphere::virtual_board
