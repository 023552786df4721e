// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>

#include "sphere/core/descriptor.h"
#include "sphere/core/result.h"

namespace sphere::virtual_board {

// One thread that waits for descriptors (epoll). Handlers may watch and forget descriptors, their
// own included.
class EventLoop {
  struct State;

 public:
  using Handler = std::function<void(std::uint32_t events)>;  // EPOLLIN, EPOLLHUP ...

  // Ends the watching when it is destroyed, which must be before the descriptor is closed and
  // before the loop goes.
  class Watch {
   public:
    Watch() = default;
    Watch(Watch&& other) noexcept;
    Watch& operator=(Watch&& other) noexcept;
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;
    ~Watch() { reset(); }

    void reset() noexcept;
    void change(std::uint32_t events);  // What to wait for from now on.

   private:
    friend class EventLoop;
    Watch(State& loop, std::uint64_t token, int descriptor)
        : loop_{&loop}, token_{token}, descriptor_{descriptor} {}

    State* loop_ = nullptr;
    std::uint64_t token_ = 0;
    int descriptor_ = -1;
  };

  // Errors: io.
  [[nodiscard]] static Result<EventLoop> create();

  // Calls `handler` whenever one of `events`, EPOLLERR or EPOLLHUP holds for `descriptor`.
  [[nodiscard]] Result<Watch> watch(int descriptor, std::uint32_t events, Handler handler);
  // Waits, at most `limit` if there is one, and runs the handlers of what happened.
  [[nodiscard]] Result<void> wait(std::optional<std::chrono::nanoseconds> limit);

 private:
  // In a place of its own, so that watches stay valid when the loop is moved.
  struct State {
    Descriptor epoll;
    std::uint64_t next_token = 1;
    // Shared by the table and a running dispatch: a handler may forget itself. Events carry the
    // token, not the descriptor, because that number may be in use anew in the same round.
    std::unordered_map<std::uint64_t, std::shared_ptr<Handler>> handlers;
  };
  explicit EventLoop(std::unique_ptr<State> state) : state_{std::move(state)} {}

  std::unique_ptr<State> state_;
};

}  // namespace sphere::virtual_board
