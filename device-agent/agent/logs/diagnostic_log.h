// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <mutex>
#include <string_view>
#include <vector>

#include "sphere/core/clock.h"
#include "sphere/core/result.h"
#include "sphere/device_api/device_log.h"

namespace sphere::agent {

// The board's diagnostic log of this run: the ring of device_log.h, and its last entries by number
// for those who follow it. The first entry is the boot entry. Any thread may call.
class DiagnosticLog {
 public:
  static constexpr std::size_t kRecent = 1024;  // Entries that a follower can still get.

  // `clock` must outlive the log.
  DiagnosticLog(const Clock& clock, std::string_view version);

  void write(device_api::LogMessageId message, device_api::LogParameters parameters = {});

  [[nodiscard]] std::vector<std::byte> bytes() const;  // What GET /log gives.

  struct Numbered {
    std::int64_t seq = 0;
    device_api::LogEntry entry;
  };
  // Entries after number `seq`, oldest first, at most `limit`.
  [[nodiscard]] std::vector<Numbered> after(std::int64_t seq, std::size_t limit = 256) const;
  // Waits until there is an entry after `seq`, at most `limit`.
  void wait_after(std::int64_t seq, std::chrono::milliseconds limit) const;

  // Mirrors the ring to a file, at an orderly shutdown.
  [[nodiscard]] Result<void> save(const std::filesystem::path& path) const;

 private:
  const Clock* clock_;
  std::chrono::nanoseconds started_;
  mutable std::mutex lock_;  // Guards what follows.
  mutable std::condition_variable changed_;
  device_api::LogRing ring_;
  std::deque<Numbered> recent_;
  std::int64_t last_ = 0;
};

}  // namespace sphere::agent
