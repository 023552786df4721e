// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <chrono>

namespace sphere::cli {

// SIGINT, SIGTERM, SIGHUP and the time limit of the command set `interrupted`; a second signal ends
// the program at once. SIGPIPE is ignored: writing says that nobody reads.
void watch_signals();

// Ends the command after `limit` as a signal does, and the program itself when it has not ended
// soon after.
void watch_time(std::chrono::seconds limit);

[[nodiscard]] const std::atomic<bool>& interrupted();
// The signal that arrived; 0 when none did.
[[nodiscard]] int arrived_signal();
[[nodiscard]] bool time_is_up();

// Waits until `descriptor` has bytes or ended; false when `interrupted` came first, be it just
// before a read would have begun to wait, or in another thread.
[[nodiscard]] bool wait_for_input(int descriptor);

// Ends the program by `signal`, as its parent expects of an interrupted program.
void die_by(int signal);

}  // namespace sphere::cli
