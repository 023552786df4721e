// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "device-agent/virtual-board/gpio_bank.h"

namespace sphere::virtual_board {

// One reader of the edge trace: which line of JSON it gets next. The reader's backlog is the trace
// itself, so a slow reader costs nothing; what has fallen out of the trace when it comes for more
// is reported as {"dropped": n}. Lines: {"run": id} first, {"seq", "atUs", "pin", "level"},
// {"dropped": n}, {"heartbeat": ms} after 15 s without a line, {"end": reason} last.
class EdgeFollower {
 public:
  static constexpr std::int64_t kHeartbeat = 15'000'000;  // Microseconds.

  // Begins with the edge after `after_seq`; without `follow` the stream ends with the last one.
  EdgeFollower(std::string run, std::uint64_t after_seq, bool follow, std::int64_t now_us);

  // The line that is due, with its line feed. The same one until line_sent() is called.
  [[nodiscard]] std::optional<std::string> line(const EdgeTrace& trace, std::int64_t now_us) const;
  // Call when the line that line() gave is on its way, with the same arguments.
  void line_sent(const EdgeTrace& trace, std::int64_t now_us);
  // True when all was sent and no more will come.
  [[nodiscard]] bool is_finished(const EdgeTrace& trace) const;
  [[nodiscard]] std::int64_t heartbeat_due() const noexcept { return last_line_us_ + kHeartbeat; }

 private:
  std::string run_;  // Empty once it was sent.
  std::uint64_t next_seq_;
  bool follow_;
  std::int64_t last_line_us_;
};

}  // namespace sphere::virtual_board
