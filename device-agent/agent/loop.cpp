// SPDX-License-Identifier: MIT
#include "device-agent/agent/loop.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/types.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include <tl/expected.hpp>

#include "sphere/core/clock.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"

namespace sphere::agent {

Result<std::unique_ptr<Loop>> Loop::create(const Clock& clock) {
  Descriptor wake{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  if (!wake) {
    return tl::unexpected<Error>{system_error("create", "eventfd", errno)};
  }
  return std::unique_ptr<Loop>{new Loop{clock, std::move(wake)}};
}

void Loop::watch(int descriptor, short events, Ready ready) {
  watches_.insert_or_assign(
      descriptor, Watch{.number = ++numbers_, .events = events, .ready = std::move(ready)});
}

void Loop::forget(int descriptor) { watches_.erase(descriptor); }

Loop::Timer Loop::at(std::chrono::nanoseconds when, Task task) {
  const Timer timer = ++numbers_;
  timers_.emplace(std::pair{when, timer}, std::move(task));
  return timer;
}

Loop::Timer Loop::after(std::chrono::nanoseconds delay, Task task) {
  return at(clock_->monotonic() + delay, std::move(task));
}

void Loop::cancel(Timer timer) {
  std::erase_if(timers_, [timer](const auto& entry) { return entry.first.second == timer; });
}

void Loop::post(Task task) {
  {
    const std::lock_guard guard{lock_};
    tasks_.push_back(std::move(task));
  }
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto sent = ::write(wake_.get(), &one, sizeof one);
}

void Loop::quit() {
  post([this] {
    const std::lock_guard guard{lock_};
    quit_ = true;
  });
}

void Loop::run() {
  thread_ = std::this_thread::get_id();
  while (true) {
    run_tasks();
    run_timers();
    {
      const std::lock_guard guard{lock_};
      if (quit_ && tasks_.empty()) {
        return;
      }
      if (!tasks_.empty()) {
        continue;
      }
    }
    wait_for_descriptors();
  }
}

void Loop::run_tasks() {
  std::vector<Task> tasks;
  {
    const std::lock_guard guard{lock_};
    tasks.swap(tasks_);
  }
  for (const auto& task : tasks) {
    task();
  }
}

void Loop::run_timers() {
  while (!timers_.empty() && timers_.begin()->first.first <= clock_->monotonic()) {
    const auto task = std::move(timers_.begin()->second);
    timers_.erase(timers_.begin());
    task();
  }
}

int Loop::wait_limit() const {
  if (timers_.empty()) {
    return -1;
  }
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(timers_.begin()->first.first -
                                                                 clock_->monotonic());
  return static_cast<int>(
      std::clamp<std::int64_t>(left.count(), 0, std::numeric_limits<int>::max()));
}

void Loop::wait_for_descriptors() {
  std::vector<pollfd> polled = {{.fd = wake_.get(), .events = POLLIN, .revents = 0}};
  std::vector<std::uint64_t> numbers = {0};
  for (const auto& [descriptor, watch] : watches_) {
    polled.push_back({.fd = descriptor, .events = watch.events, .revents = 0});
    numbers.push_back(watch.number);
  }
  if (::poll(polled.data(), polled.size(), wait_limit()) <= 0) {
    return;
  }
  if (polled.front().revents != 0) {
    std::uint64_t count = 0;
    [[maybe_unused]] const auto taken = ::read(wake_.get(), &count, sizeof count);
  }
  for (std::size_t i = 1; i < polled.size(); ++i) {
    // A handler before this one may have forgotten the descriptor or reused its number.
    const auto found = watches_.find(polled[i].fd);
    if (polled[i].revents != 0 && found != watches_.end() && found->second.number == numbers[i]) {
      const auto ready = found->second.ready;
      ready(polled[i].revents);
    }
  }
}

}  // namespace sphere::agent
