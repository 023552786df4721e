// SPDX-License-Identifier: MIT
#include "device-agent/agent/debug/gdb_signals.h"

#include <algorithm>
#include <array>
#include <csignal>
#include <optional>

namespace sphere::agent {
namespace {

struct Pair {
  int signal;
  int gdb;
};
// NOLINTBEGIN(modernize-use-designated-initializers): rows of a table
constexpr std::array kSignals = {
    Pair{0, 0},        Pair{SIGHUP, 1},     Pair{SIGINT, 2},   Pair{SIGQUIT, 3},
    Pair{SIGILL, 4},   Pair{SIGTRAP, 5},    Pair{SIGABRT, 6},  Pair{SIGFPE, 8},
    Pair{SIGKILL, 9},  Pair{SIGBUS, 10},    Pair{SIGSEGV, 11}, Pair{SIGSYS, 12},
    Pair{SIGPIPE, 13}, Pair{SIGALRM, 14},   Pair{SIGTERM, 15}, Pair{SIGURG, 16},
    Pair{SIGSTOP, 17}, Pair{SIGTSTP, 18},   Pair{SIGCONT, 19}, Pair{SIGCHLD, 20},
    Pair{SIGTTIN, 21}, Pair{SIGTTOU, 22},   Pair{SIGIO, 23},   Pair{SIGXCPU, 24},
    Pair{SIGXFSZ, 25}, Pair{SIGVTALRM, 26}, Pair{SIGPROF, 27}, Pair{SIGWINCH, 28},
    Pair{SIGUSR1, 30}, Pair{SIGUSR2, 31},   Pair{SIGPWR, 32},  Pair{32, 77},
    Pair{64, 78},
};
// NOLINTEND(modernize-use-designated-initializers)

constexpr int kUnknown = 143;
constexpr int kFirstRealTime = 33, kLastRealTime = 63;
constexpr int kRealTimeOffset = 12;  // Signal 33 is 45 in gdb.

}  // namespace

int gdb_signal_of(int signal) {
  const auto* const found = std::ranges::find(kSignals, signal, &Pair::signal);
  if (found != kSignals.end()) {
    return found->gdb;
  }
  return signal >= kFirstRealTime && signal <= kLastRealTime ? signal + kRealTimeOffset : kUnknown;
}

std::optional<int> signal_of_gdb(unsigned number) {
  const int wanted = static_cast<int>(std::min(number, static_cast<unsigned>(kUnknown)));
  const auto* const found = std::ranges::find(kSignals, wanted, &Pair::gdb);
  if (found != kSignals.end()) {
    return found->signal;
  }
  const int real_time = wanted - kRealTimeOffset;
  return real_time >= kFirstRealTime && real_time <= kLastRealTime ? std::optional{real_time}
                                                                   : std::nullopt;
}

}  // namespace sphere::agent
