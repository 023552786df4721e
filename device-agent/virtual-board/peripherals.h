// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "device-agent/virtual-board/board_clock.h"
#include "device-agent/virtual-board/edge_follower.h"
#include "device-agent/virtual-board/event_loop.h"
#include "device-agent/virtual-board/frame.h"
#include "device-agent/virtual-board/gpio_bank.h"
#include "device-agent/virtual-board/packet_socket.h"
#include "device-agent/virtual-board/requests.h"
#include "sphere/core/descriptor.h"

namespace sphere::virtual_board {

// The simulated parts of a board with their sockets: answers sphered's requests (board_link.h) and
// the apps' on open pins. Lives from power-on to power-off, over restarts of sphered.
class Peripherals {
 public:
  static constexpr std::size_t kFollowerLimit = 4;  // Streams of edges at one time.

  // `loop` and `clock` must outlive this object. `run` names this power cycle in streams.
  Peripherals(EventLoop& loop, const BoardClock& clock, BoardIdentity identity, GpioBank bank,
              std::string run);

  // Answers one request on the link.
  [[nodiscard]] Reply serve(const Frame& request);
  // sphered and its apps are gone: frees all pins, which keep direction and level.
  void release_all();
  // Ends pulses that are over and writes to followers what is due. Once per turn of the loop.
  void advance();
  // The last line of every stream.
  void end_streams(std::string_view reason);
  // When advance() has something to do even if nothing happens: time from now.
  [[nodiscard]] std::optional<std::chrono::microseconds> until_due() const;

  [[nodiscard]] const GpioBank& bank() const noexcept { return bank_; }

 private:
  struct Stream {
    EdgeFollower follower;
    Descriptor pipe;
    EventLoop::Watch watch;  // Goes before the pipe.
    bool full = false;
  };

  [[nodiscard]] Reply open_gpio(const Frame& request);
  [[nodiscard]] Reply serve_pin(int pin, const Frame& request);
  [[nodiscard]] Reply serve_virtual(const Frame& request);
  [[nodiscard]] Reply open_stream(const EdgeStream& wanted);
  [[nodiscard]] bool feed(Stream& stream, std::int64_t now_us) const;

  EventLoop* loop_;
  const BoardClock* clock_;
  BoardIdentity identity_;
  GpioBank bank_;
  std::string run_;
  std::map<int, PacketSocket> pins_;
  std::list<Stream> streams_;
};

}  // namespace sphere::virtual_board
