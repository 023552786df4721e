// SPDX-License-Identifier: MIT
#include "cli/environment/signals.h"

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <poll.h>
#include <string_view>
#include <unistd.h>

#include "cli/exit_status.h"

namespace sphere::cli {
namespace {

constexpr std::array kEnding = {SIGINT, SIGTERM, SIGHUP};
constexpr unsigned kGraceSeconds = 5;

// A signal handler can reach nothing but static objects; these are lock-free.
// NOLINTBEGIN(cppcoreguidelines-avoid-non-const-global-variables): see above
constinit std::atomic<bool> is_interrupted{false};
constinit std::atomic<int> signal_number{0};
constinit std::atomic<bool> is_time_up{false};
// NOLINTEND(cppcoreguidelines-avoid-non-const-global-variables)
static_assert(std::atomic<bool>::is_always_lock_free && std::atomic<int>::is_always_lock_free);

extern "C" void on_ending_signal(int number) {
  const int saved = errno;
  for (const int ending : kEnding) {
    std::signal(ending, SIG_DFL);  // NOLINT(cert-err33-c,bugprone-signal-handler): the next kills
  }
  signal_number = number;
  is_interrupted = true;
  errno = saved;
}

extern "C" void on_alarm(int /*number*/) {
  if (is_time_up) {
    constexpr std::string_view kText = "error: the time limit of --timeout is over\n";
    const auto written = ::write(STDERR_FILENO, kText.data(), kText.size());
    static_cast<void>(written);  // There is no other place to say it.
    ::_exit(kFailed);
  }
  is_time_up = true;
  is_interrupted = true;
  ::alarm(kGraceSeconds);
}

void handle(int number, void (*handler)(int)) {
  struct sigaction action = {};
  action.sa_handler = handler;  // NOLINT(cppcoreguidelines-pro-type-union-access): POSIX
  sigemptyset(&action.sa_mask);
  sigaction(number, &action, nullptr);  // Without SA_RESTART: waiting calls return.
}

}  // namespace

void watch_signals() {
  for (const int ending : kEnding) {
    struct sigaction old = {};
    sigaction(ending, nullptr, &old);
    // What the parent had ignored (nohup) stays ignored.
    if (old.sa_handler != SIG_IGN) {  // NOLINT(cppcoreguidelines-pro-type-union-access): POSIX
      handle(ending, on_ending_signal);
    }
  }
  handle(SIGPIPE, SIG_IGN);  // NOLINT(performance-no-int-to-ptr): the system's macro
}

void watch_time(std::chrono::seconds limit) {
  handle(SIGALRM, on_alarm);
  ::alarm(static_cast<unsigned>(limit.count()));
}

const std::atomic<bool>& interrupted() { return is_interrupted; }
int arrived_signal() { return signal_number; }
bool time_is_up() { return is_time_up; }

bool wait_for_input(int descriptor) {
  constexpr int kLookMilliseconds = 50;
  pollfd ready = {.fd = descriptor, .events = POLLIN, .revents = 0};
  while (!is_interrupted) {
    const int count = ::poll(&ready, 1, kLookMilliseconds);
    if (count > 0 || (count < 0 && errno != EINTR)) {
      return true;  // What is wrong with the descriptor, its reader learns.
    }
  }
  return false;
}

void die_by(int signal) {
  handle(signal, SIG_DFL);
  std::raise(signal);  // NOLINT(cert-err33-c): ends the program
}

}  // namespace sphere::cli
