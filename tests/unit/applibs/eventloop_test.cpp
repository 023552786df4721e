// SPDX-License-Identifier: MIT
#include <applibs/eventloop.h>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <fcntl.h>
#include <functional>
#include <memory>
#include <poll.h>
#include <string>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "sphere/core/descriptor.h"

using sphere::Descriptor;
using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace): durations

namespace {

struct Close {
  void operator()(EventLoop* loop) const { EventLoop_Close(loop); }
};
using Loop = std::unique_ptr<EventLoop, Close>;

Loop make_loop() {
  Loop loop(EventLoop_Create());
  REQUIRE(loop);
  return loop;
}

// What a callback saw, and what it does.
struct Watch {
  int calls = 0;
  EventLoop_IoEvents events = 0;
  std::function<void(EventLoop*, int)> act = {};
};

void on_event(EventLoop* loop, int fd, EventLoop_IoEvents events, void* context) {
  auto* watch = static_cast<Watch*>(context);
  ++watch->calls;
  watch->events = events;
  if (watch->act) {
    watch->act(loop, fd);
  }
}

EventRegistration* watch(const Loop& loop, int fd, EventLoop_IoEvents mask, Watch& state) {
  return EventLoop_RegisterIo(loop.get(), fd, mask, on_event, &state);
}

// Readable at once and until drained.
Descriptor ready_descriptor() {
  Descriptor ready(::eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK));
  REQUIRE(ready.get() >= 0);
  return ready;
}

std::pair<Descriptor, Descriptor> socket_pair() {
  std::array<int, 2> ends = {};
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
  return {Descriptor(ends[0]), Descriptor(ends[1])};
}

Descriptor timer_after(std::chrono::milliseconds delay) {
  Descriptor timer(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  itimerspec when = {};
  when.it_value.tv_nsec = static_cast<long>(std::chrono::nanoseconds(delay).count());
  REQUIRE(::timerfd_settime(timer.get(), 0, &when, nullptr) == 0);
  return timer;
}

std::chrono::milliseconds time_of(const std::function<void()>& action) {
  const auto start = std::chrono::steady_clock::now();
  action();
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() -
                                                               start);
}

}  // namespace

TEST_CASE("A duration of 0 handles at most one event", "[applibs]") {
  const auto loop = make_loop();
  CHECK(EventLoop_Run(loop.get(), 0, false) == EventLoop_Run_FinishedEmpty);
  const auto first = ready_descriptor();
  const auto second = ready_descriptor();
  Watch state;
  REQUIRE(watch(loop, first.get(), EventLoop_Input, state) != nullptr);
  REQUIRE(watch(loop, second.get(), EventLoop_Input, state) != nullptr);

  CHECK(EventLoop_Run(loop.get(), 0, false) == EventLoop_Run_Finished);
  CHECK(state.calls == 1);
  CHECK(EventLoop_Run(loop.get(), 0, true) == EventLoop_Run_Finished);
  CHECK(state.calls == 2);
}

TEST_CASE("A positive duration runs that long, or until one event", "[applibs]") {
  const auto loop = make_loop();
  CHECK(time_of([&] {
          CHECK(EventLoop_Run(loop.get(), 40, true) == EventLoop_Run_FinishedEmpty);
        }) >= 40ms);

  const auto ready = ready_descriptor();
  Watch state;
  REQUIRE(watch(loop, ready.get(), EventLoop_Input, state) != nullptr);
  CHECK(EventLoop_Run(loop.get(), 10000, true) == EventLoop_Run_Finished);
  CHECK(state.calls == 1);

  CHECK(time_of([&] { CHECK(EventLoop_Run(loop.get(), 20, false) == EventLoop_Run_Finished); }) >=
        20ms);
  CHECK(state.calls > 2);
}

TEST_CASE("A negative duration runs until stopped, or until one event", "[applibs]") {
  const auto loop = make_loop();
  const auto ready = ready_descriptor();
  Watch state;
  state.act = [&](EventLoop* el, int) {
    if (state.calls == 5) {
      CHECK(EventLoop_Stop(el) == 0);
    }
  };
  REQUIRE(watch(loop, ready.get(), EventLoop_Input, state) != nullptr);

  CHECK(EventLoop_Run(loop.get(), -1, true) == EventLoop_Run_Finished);
  CHECK(state.calls == 1);
  CHECK(EventLoop_Run(loop.get(), -1, false) == EventLoop_Run_Finished);
  CHECK(state.calls == 5);  // Nothing after the stop.
  CHECK(EventLoop_Run(loop.get(), 0, true) == EventLoop_Run_Finished);
  CHECK(state.calls == 6);  // One stop ends one run.
}

TEST_CASE("Another thread stops a loop", "[applibs]") {
  const auto loop = make_loop();
  for (int round = 0; round < 50; ++round) {
    std::thread other([&] { EventLoop_Stop(loop.get()); });
    CHECK(EventLoop_Run(loop.get(), -1, false) == EventLoop_Run_FinishedEmpty);
    other.join();
  }
  // Nothing is left over.
  CHECK(time_of([&] { EventLoop_Run(loop.get(), 20, false); }) >= 20ms);
}

TEST_CASE("A stop between two runs ends the next one, once", "[applibs]") {
  const auto loop = make_loop();
  const auto ready = ready_descriptor();
  Watch state;
  REQUIRE(watch(loop, ready.get(), EventLoop_Input, state) != nullptr);
  REQUIRE(EventLoop_Stop(loop.get()) == 0);
  REQUIRE(EventLoop_Stop(loop.get()) == 0);

  CHECK(EventLoop_Run(loop.get(), -1, false) == EventLoop_Run_FinishedEmpty);
  CHECK(EventLoop_Run(loop.get(), -1, true) == EventLoop_Run_Finished);
}

TEST_CASE("Run fails on NULL, recursion and signals", "[applibs]") {
  CHECK(EventLoop_Run(nullptr, 0, true) == EventLoop_Run_Failed);
  CHECK(errno == EFAULT);
  const auto loop = make_loop();
  const auto ready = ready_descriptor();
  Watch state;
  int inner = 0;
  int inner_errno = 0;
  state.act = [&](EventLoop* el, int) {
    inner = EventLoop_Run(el, 0, true);
    inner_errno = errno;
  };
  REQUIRE(watch(loop, ready.get(), EventLoop_Input, state) != nullptr);
  CHECK(EventLoop_Run(loop.get(), 0, true) == EventLoop_Run_Finished);
  CHECK(inner == EventLoop_Run_Failed);
  CHECK(inner_errno == EBUSY);

  const auto idle = make_loop();
  struct sigaction action = {};
  action.sa_handler = [](int) {};
  action.sa_flags = SA_RESTART;  // Not even then.
  REQUIRE(::sigaction(SIGALRM, &action, nullptr) == 0);
  const itimerval soon = {.it_interval = {}, .it_value = {.tv_sec = 0, .tv_usec = 20000}};
  REQUIRE(::setitimer(ITIMER_REAL, &soon, nullptr) == 0);
  CHECK(EventLoop_Run(idle.get(), -1, true) == EventLoop_Run_Failed);
  CHECK(errno == EINTR);
  CHECK(EventLoop_Run(idle.get(), 0, true) == EventLoop_Run_FinishedEmpty);
}

TEST_CASE("RegisterIo checks its arguments", "[applibs]") {
  const auto loop = make_loop();
  const auto ready = ready_descriptor();
  Watch state;
  const auto fails = [&](EventLoop* el, int fd, EventLoop_IoEvents mask,
                         EventLoopIoCallback* callback) {
    errno = 0;
    return EventLoop_RegisterIo(el, fd, mask, callback, &state) == nullptr ? errno : 0;
  };

  CHECK(fails(nullptr, ready.get(), EventLoop_Input, on_event) == EFAULT);
  CHECK(fails(loop.get(), ready.get(), EventLoop_Input, nullptr) == EFAULT);
  CHECK(fails(loop.get(), ready.get(), 0x02, on_event) == EINVAL);
  CHECK(fails(loop.get(), ready.get(), 0x10, on_event) == EINVAL);
  CHECK(fails(loop.get(), ready.get(), 0x80000000, on_event) == EINVAL);
  CHECK(fails(loop.get(), -1, EventLoop_Input, on_event) == EBADF);
  CHECK(fails(loop.get(), 1000, EventLoop_Input, on_event) == EBADF);
  REQUIRE(watch(loop, ready.get(), EventLoop_Input, state) != nullptr);
  CHECK(fails(loop.get(), ready.get(), EventLoop_Input, on_event) == EEXIST);
  const Descriptor file(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  CHECK(fails(loop.get(), file.get(), EventLoop_Input, on_event) == EPERM);
}

TEST_CASE("A mask of 0 parks a descriptor, all but its errors", "[applibs]") {
  const auto loop = make_loop();
  auto [mine, theirs] = socket_pair();
  Watch state;
  auto* registration = watch(loop, mine.get(), EventLoop_None, state);
  REQUIRE(registration != nullptr);
  REQUIRE(::write(theirs.get(), "x", 1) == 1);

  CHECK(EventLoop_Run(loop.get(), 0, true) == EventLoop_Run_FinishedEmpty);
  CHECK(EventLoop_ModifyIoEvents(loop.get(), registration, EventLoop_Input) == 0);
  CHECK(EventLoop_Run(loop.get(), 0, true) == EventLoop_Run_Finished);
  CHECK(state.events == EventLoop_Input);
  CHECK(EventLoop_ModifyIoEvents(loop.get(), registration, EventLoop_None) == 0);
  CHECK(EventLoop_Run(loop.get(), 0, true) == EventLoop_Run_FinishedEmpty);
  theirs.reset();
  CHECK(EventLoop_Run(loop.get(), 0, true) == EventLoop_Run_Finished);
  CHECK(state.events == EventLoop_Error);
}

TEST_CASE("A hang-up is an error, and input where input was asked for", "[applibs]") {
  const auto loop = make_loop();
  auto [mine, theirs] = socket_pair();
  Watch state;
  REQUIRE(watch(loop, mine.get(), EventLoop_Input | EventLoop_Output, state) != nullptr);
  CHECK(EventLoop_Run(loop.get(), 0, true) == EventLoop_Run_Finished);
  CHECK(state.events == EventLoop_Output);
  theirs.reset();

  CHECK(EventLoop_Run(loop.get(), 0, true) == EventLoop_Run_Finished);
  CHECK((state.events & (EventLoop_Error | EventLoop_Input)) ==
        (EventLoop_Error | EventLoop_Input));
}

TEST_CASE("ModifyIoEvents checks its arguments", "[applibs]") {
  const auto loop = make_loop();
  auto ready = ready_descriptor();
  Watch state;
  auto* registration = watch(loop, ready.get(), EventLoop_Input, state);

  CHECK(EventLoop_ModifyIoEvents(nullptr, registration, EventLoop_Input) == -1);
  CHECK(errno == EFAULT);
  CHECK(EventLoop_ModifyIoEvents(loop.get(), nullptr, EventLoop_Input) == -1);
  CHECK(errno == EFAULT);
  CHECK(EventLoop_ModifyIoEvents(loop.get(), registration, 0x12) == -1);
  CHECK(errno == EINVAL);
  ready.reset();
  CHECK(EventLoop_ModifyIoEvents(loop.get(), registration, EventLoop_Input) == -1);
  CHECK(errno == EBADF);
}

TEST_CASE("UnregisterIo frees the registration of a closed descriptor, too", "[applibs]") {
  const auto loop = make_loop();
  auto ready = ready_descriptor();
  Watch state;
  auto* registration = watch(loop, ready.get(), EventLoop_Input, state);
  REQUIRE(registration != nullptr);

  CHECK(EventLoop_UnregisterIo(loop.get(), nullptr) == 0);
  CHECK(EventLoop_UnregisterIo(nullptr, nullptr) == 0);
  CHECK(EventLoop_UnregisterIo(nullptr, registration) == -1);
  CHECK(errno == EFAULT);
  CHECK(EventLoop_UnregisterIo(loop.get(), registration) == 0);
  CHECK(EventLoop_Run(loop.get(), 0, true) == EventLoop_Run_FinishedEmpty);

  registration = watch(loop, ready.get(), EventLoop_Input, state);
  REQUIRE(registration != nullptr);
  ready.reset();
  CHECK(EventLoop_UnregisterIo(loop.get(), registration) == -1);
  CHECK(errno == EBADF);
}

TEST_CASE("A number that came back belongs to its new registration", "[applibs]") {
  const auto loop = make_loop();
  auto first = ready_descriptor();
  const int number = first.get();
  Watch old_state;
  Watch new_state;
  auto* stale = watch(loop, number, EventLoop_Input, old_state);
  first.reset();
  const auto second = ready_descriptor();
  REQUIRE(second.get() == number);
  REQUIRE(watch(loop, number, EventLoop_Input, new_state) != nullptr);

  CHECK(EventLoop_UnregisterIo(loop.get(), stale) == -1);
  CHECK(errno == EBADF);
  CHECK(EventLoop_Run(loop.get(), 0, true) == EventLoop_Run_Finished);
  CHECK(old_state.calls == 0);
  CHECK(new_state.calls == 1);
}

TEST_CASE("A duplicate of a closed descriptor does not keep the loop busy", "[applibs]") {
  const auto loop = make_loop();
  auto first = ready_descriptor();
  const Descriptor duplicate(::dup(first.get()));
  const auto other = ready_descriptor();
  Watch state;
  Watch other_state;
  auto* registration = watch(loop, first.get(), EventLoop_Input, state);
  first.reset();
  CHECK(EventLoop_UnregisterIo(loop.get(), registration) == -1);
  REQUIRE(watch(loop, other.get(), EventLoop_Input, other_state) != nullptr);

  for (int i = 0; i < 5; ++i) {
    EventLoop_Run(loop.get(), 1000, true);
  }
  CHECK(state.calls == 0);
  CHECK(other_state.calls == 5);
}

TEST_CASE("Callbacks may unregister themselves and others", "[applibs]") {
  const auto loop = make_loop();
  const auto one = ready_descriptor();
  const auto two = ready_descriptor();
  Watch first;
  Watch second;
  std::array<EventRegistration*, 2> registrations = {};
  const auto remove_both = [&](EventLoop* el, int) {
    for (auto*& registration : registrations) {
      CHECK(EventLoop_UnregisterIo(el, registration) == 0);
      registration = nullptr;
    }
  };
  first.act = remove_both;
  second.act = remove_both;
  registrations[0] = watch(loop, one.get(), EventLoop_Input, first);
  registrations[1] = watch(loop, two.get(), EventLoop_Input, second);

  CHECK(EventLoop_Run(loop.get(), 20, false) == EventLoop_Run_Finished);
  CHECK(first.calls + second.calls == 1);
}

TEST_CASE("Callbacks may register and close the loop", "[applibs]") {
  auto loop = make_loop();
  const auto one = ready_descriptor();
  const auto two = ready_descriptor();
  Watch first;
  Watch second;
  first.act = [&](EventLoop* el, int) {
    if (first.calls == 1) {
      CHECK(EventLoop_RegisterIo(el, two.get(), EventLoop_Input, on_event, &second) != nullptr);
    }
  };
  second.act = [&](EventLoop* el, int) { EventLoop_Close(el); };
  REQUIRE(watch(loop, one.get(), EventLoop_Input, first) != nullptr);

  CHECK(EventLoop_Run(loop.release(), -1, false) == EventLoop_Run_Finished);
  CHECK(second.calls == 1);
}

TEST_CASE("The wait descriptor is readable when there is work", "[applibs]") {
  CHECK(EventLoop_GetWaitDescriptor(nullptr) == -1);
  CHECK(errno == EFAULT);
  const auto loop = make_loop();
  pollfd entry = {.fd = EventLoop_GetWaitDescriptor(loop.get()), .events = POLLIN, .revents = 0};
  CHECK(::poll(&entry, 1, 0) == 0);
  const auto ready = ready_descriptor();
  Watch state;
  REQUIRE(watch(loop, ready.get(), EventLoop_Input, state) != nullptr);

  CHECK(::poll(&entry, 1, 0) == 1);
}

TEST_CASE("Close ignores NULL, Stop does not", "[applibs]") {
  EventLoop_Close(nullptr);
  CHECK(EventLoop_Stop(nullptr) == -1);
  CHECK(errno == EFAULT);
}

TEST_CASE("A thousand timers all fire", "[applibs]") {
  rlimit limit = {};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
  limit.rlim_cur = limit.rlim_max;
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
  const auto loop = make_loop();
  std::vector<Descriptor> timers;
  std::vector<Watch> states(1000);
  int fired = 0;
  for (auto& state : states) {
    timers.push_back(timer_after(10ms));
    state.act = [&fired](EventLoop* el, int fd) {
      std::uint64_t count = 0;
      CHECK(::read(fd, &count, sizeof(count)) == sizeof(count));
      if (++fired == 1000) {
        EventLoop_Stop(el);
      }
    };
    REQUIRE(watch(loop, timers.back().get(), EventLoop_Input, state) != nullptr);
  }

  CHECK(EventLoop_Run(loop.get(), 20000, false) == EventLoop_Run_Finished);
  CHECK(fired == 1000);
}
