// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "sphere/core/clock.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/result.h"

namespace sphere::agent {

// The agent's one thread of work: descriptors, timers, and tasks that other threads hand over. What
// belongs to the loop is touched on its thread only, so none of it needs a lock.
//
// run() goes on until quit(); post(), call(), await() and quit() are for any thread, the rest for
// the loop's own (or before run()).
class Loop {
 public:
  using Task = std::function<void()>;
  using Ready = std::function<void(short events)>;
  using Timer = std::uint64_t;

  // `clock` must outlive the loop; timers follow its monotonic().
  [[nodiscard]] static Result<std::unique_ptr<Loop>> create(const Clock& clock);

  // Calls `ready` with what poll() reports for `descriptor`; the descriptor stays the caller's and
  // must be forgotten before it is closed.
  void watch(int descriptor, short events, Ready ready);
  void forget(int descriptor);

  Timer at(std::chrono::nanoseconds when, Task task);
  Timer after(std::chrono::nanoseconds delay, Task task);
  void cancel(Timer timer);  // One that has fired is no error.

  void post(Task task);
  void run();
  void quit();

  // Runs `work` on the loop and gives what it returned. On the loop's thread: at once.
  template <typename Work>
  [[nodiscard]] auto call(Work work) {
    using Value = decltype(work());
    return await<Value>([&work](const std::function<void(Value)>& done) { done(work()); });
  }

  // Runs `start` on the loop and waits until it, or something it began, calls its argument. Not for
  // the loop's own thread unless `start` calls at once.
  template <typename Value, typename Start>
  [[nodiscard]] Value await(Start start) {
    struct Waiter {
      std::mutex lock;
      std::condition_variable changed;
      std::optional<Value> value;
    };
    const auto waiter = std::make_shared<Waiter>();  // Shared by this thread and the loop.
    auto begin = [waiter, &start] {
      start(std::function<void(Value)>{[waiter](Value value) {
        const std::lock_guard guard{waiter->lock};
        waiter->value.emplace(std::move(value));
        waiter->changed.notify_all();
      }});
    };
    if (std::this_thread::get_id() == thread_) {
      begin();
    } else {
      post(begin);
    }
    std::unique_lock guard{waiter->lock};
    waiter->changed.wait(guard, [&] { return waiter->value.has_value(); });
    // NOLINTNEXTLINE(bugprone-unchecked-optional-access): the wait ends when there is a value.
    return std::move(*waiter->value);
  }

  // The same for any other thread, with a limit: nothing when the time is over. `start` is copied
  // and may run later than that, so it may refer to nothing that its caller owns.
  template <typename Value>
  [[nodiscard]] std::optional<Value> await_for(
      std::chrono::milliseconds limit,
      std::function<void(const std::function<void(Value)>& done)> start) {
    struct Waiter {
      std::mutex lock;
      std::condition_variable changed;
      std::optional<Value> value;
    };
    const auto waiter = std::make_shared<Waiter>();  // Shared by this thread and the loop.
    post([waiter, start = std::move(start)] {
      start([waiter](Value value) {
        const std::lock_guard guard{waiter->lock};
        waiter->value.emplace(std::move(value));
        waiter->changed.notify_all();
      });
    });
    std::unique_lock guard{waiter->lock};
    waiter->changed.wait_for(guard, limit, [&] { return waiter->value.has_value(); });
    return std::exchange(waiter->value, std::nullopt);
  }

 private:
  struct Watch {
    std::uint64_t number;
    short events;
    Ready ready;
  };

  Loop(const Clock& clock, Descriptor wake)
      : clock_{&clock}, wake_{std::move(wake)}, thread_{std::this_thread::get_id()} {}
  void wait_for_descriptors();
  void run_timers();
  void run_tasks();
  [[nodiscard]] int wait_limit() const;

  const Clock* clock_;
  Descriptor wake_;  // eventfd
  std::thread::id thread_;
  std::uint64_t numbers_ = 0;
  std::map<int, Watch> watches_;
  std::map<std::pair<std::chrono::nanoseconds, Timer>, Task> timers_;
  std::mutex lock_;  // Guards tasks_ and quit_.
  std::vector<Task> tasks_;
  bool quit_ = false;
};

}  // namespace sphere::agent
