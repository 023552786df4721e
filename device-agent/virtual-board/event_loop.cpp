// SPDX-License-Identifier: MIT
#include "device-agent/virtual-board/event_loop.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <memory>
#include <optional>
#include <sys/epoll.h>
#include <utility>

#include <tl/expected.hpp>

#include "sphere/core/descriptor.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"

namespace sphere::virtual_board {
namespace {

epoll_event event_for(std::uint32_t events, std::uint64_t token) {
  epoll_event event = {};
  event.events = events;
  event.data.u64 = token;
  return event;
}

timespec to_timespec(std::chrono::nanoseconds time) {
  const auto positive = std::max(time, std::chrono::nanoseconds{0});
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(positive);
  return {.tv_sec = seconds.count(), .tv_nsec = (positive - seconds).count()};
}

}  // namespace

EventLoop::Watch::Watch(Watch&& other) noexcept
    : loop_{std::exchange(other.loop_, nullptr)},
      token_{other.token_},
      descriptor_{other.descriptor_} {}

EventLoop::Watch& EventLoop::Watch::operator=(Watch&& other) noexcept {
  if (this != &other) {
    reset();
    loop_ = std::exchange(other.loop_, nullptr);
    token_ = other.token_;
    descriptor_ = other.descriptor_;
  }
  return *this;
}

void EventLoop::Watch::reset() noexcept {
  if (loop_ != nullptr) {
    ::epoll_ctl(loop_->epoll.get(), EPOLL_CTL_DEL, descriptor_, nullptr);
    loop_->handlers.erase(token_);
    loop_ = nullptr;
  }
}

void EventLoop::Watch::change(std::uint32_t events) {
  if (loop_ != nullptr) {
    auto event = event_for(events, token_);
    ::epoll_ctl(loop_->epoll.get(), EPOLL_CTL_MOD, descriptor_, &event);
  }
}

Result<EventLoop> EventLoop::create() {
  auto state = std::make_unique<State>();
  state->epoll.reset(::epoll_create1(EPOLL_CLOEXEC));
  if (!state->epoll) {
    return tl::unexpected<Error>{system_error("create", "epoll", errno)};
  }
  return EventLoop{std::move(state)};
}

Result<EventLoop::Watch> EventLoop::watch(int descriptor, std::uint32_t events, Handler handler) {
  const auto token = state_->next_token++;
  auto event = event_for(events, token);
  if (::epoll_ctl(state_->epoll.get(), EPOLL_CTL_ADD, descriptor, &event) != 0) {
    return tl::unexpected<Error>{system_error("watch", "descriptor", errno)};
  }
  state_->handlers.emplace(token, std::make_shared<Handler>(std::move(handler)));
  return Watch{*state_, token, descriptor};
}

Result<void> EventLoop::wait(std::optional<std::chrono::nanoseconds> limit) {
  std::array<epoll_event, 32> events = {};
  const timespec time = to_timespec(limit.value_or(std::chrono::nanoseconds{0}));
  const int count =
      ::epoll_pwait2(state_->epoll.get(), events.data(), static_cast<int>(events.size()),
                     limit ? &time : nullptr, nullptr);
  if (count < 0 && errno != EINTR) {
    return tl::unexpected<Error>{system_error("wait for", "epoll", errno)};
  }
  for (int i = 0; i < count; ++i) {
    const auto& event = events.at(static_cast<std::size_t>(i));
    const auto found = state_->handlers.find(event.data.u64);
    if (found != state_->handlers.end()) {
      const auto handler = found->second;
      (*handler)(event.events);
    }
  }
  return {};
}

}  // namespace sphere::virtual_board
