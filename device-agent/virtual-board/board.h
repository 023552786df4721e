// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "device-agent/virtual-board/agent_process.h"
#include "device-agent/virtual-board/board_clock.h"
#include "device-agent/virtual-board/board_directory.h"
#include "device-agent/virtual-board/board_log.h"
#include "device-agent/virtual-board/event_loop.h"
#include "device-agent/virtual-board/options.h"
#include "device-agent/virtual-board/packet_socket.h"
#include "device-agent/virtual-board/peripherals.h"
#include "device-agent/virtual-board/rest_probe.h"
#include "device-agent/virtual-board/restart_policy.h"
#include "device-agent/virtual-board/service_uart.h"
#include "sphere/core/clock.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"

namespace sphere::virtual_board {

// A running board: its peripherals, its sockets, and sphered, which it starts, watches and ends.
//
//   state      event                          next
//   starting   REST socket answers            running ("ready" is told)
//   starting   sphered ends, or 30 s pass     ended, with an error
//   running    sphered exits with 64          running, sphered is started at once
//   running    sphered ends otherwise         running, sphered is started after RestartPolicy's
//   time any        SIGTERM, SIGINT                powering off: the link is closed, sphered has 5
//   s powering   sphered has ended              ended
class Board {
 public:
  static constexpr std::chrono::seconds kStartLimit{30};
  static constexpr std::chrono::seconds kPowerOffLimit{5};

  // Takes the lock, binds the sockets, opens the log. Blocks SIGTERM, SIGINT, SIGCHLD and ignores
  // SIGPIPE in this process. `clock` must outlive the board. Errors: not_found (directory, board
  // kind), corrupt (board.json), busy (the board runs; the port is taken), as system_error().
  [[nodiscard]] static Result<std::unique_ptr<Board>> create(const Options& options,
                                                             const Clock& clock);
  Board(const Board&) = delete;
  Board& operator=(const Board&) = delete;
  Board(Board&&) = delete;
  Board& operator=(Board&&) = delete;
  ~Board();

  // Runs until power-off. Calls `ready` once, when the REST API answers. Errors: unavailable
  // (sphered ended before that; the message has its last line), timeout, io.
  [[nodiscard]] Result<void> run(const std::function<void()>& ready);

 private:
  enum class State : std::uint8_t { starting, running, powering_off, ended };
  using Time = std::chrono::nanoseconds;  // Of clock_.monotonic().

  enum class Amount : std::uint8_t { some, all };

  struct Sockets {
    Descriptor unix_listener;
    Descriptor tcp_listener;  // None without a port.
  };
  // What is there before the loop runs.
  struct Parts {
    Options options;
    BoardFile file;
    FileLock lock;
    BoardLog log;
    EventLoop loop;
    Sockets sockets;
    Descriptor signals;
    GpioBank bank;
  };
  Board(Parts parts, const Clock& clock);
  [[nodiscard]] static Result<Parts> prepare(const Options& options, const Clock& clock);

  [[nodiscard]] static Result<Sockets> bind(const Options& options, const BoardFile& file);

  [[nodiscard]] Result<void> start();
  [[nodiscard]] Result<void> attach();
  [[nodiscard]] Result<void> serve_link(Descriptor link);
  void start_again();
  void read_output(int output, Amount amount);
  void read_output_after_end(int output);
  void on_link_request(const Frame& request);
  void on_signal();
  void on_children();
  void on_agent_end(const ExitStatus& status);
  void on_time(Time now);
  void power_off(std::string_view cause);
  void end_with(Error error);
  [[nodiscard]] std::optional<Time> until_next(Time now) const;

  const Clock* clock_;
  Parts parts_;
  BoardClock board_clock_;
  Peripherals peripherals_;
  RestartPolicy restarts_;
  State state_ = State::starting;
  std::function<void()> ready_;
  std::optional<Error> failure_;  // Why it ended, if not by power-off.

  std::optional<AgentProcess> agent_;
  std::optional<PacketSocket> link_;
  EventLoop::Watch output_watch_;
  EventLoop::Watch signal_watch_;
  std::optional<RestProbe> probe_;
  std::unique_ptr<ServiceUart> service_uart_;
  // Points in time at which on_time() acts.
  std::optional<Time> start_by_;  // Give up on the first start.
  std::optional<Time> start_at_;  // Start sphered again.
  std::optional<Time> kill_at_;   // Stop waiting for sphered's end.
};

}  // namespace sphere::virtual_board
