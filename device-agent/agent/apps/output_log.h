// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "sphere/core/clock.h"
#include "sphere/core/descriptor.h"
#include "sphere/device_api/bodies.h"

namespace sphere::agent {

// What one app has printed: the last lines in memory, and on disk in two segments
// (`output.log`, before it `output.old`), so that they outlive app, agent and board.
//
// Lines are cut at kLineBytes. More than kRate a second, above a burst of kBurst, is dropped and
// counted in a line of its own. Numbers rise by one and go on after a restart. Any thread may read;
// feed() and finish() belong to one thread.
class OutputLog {
 public:
  static constexpr std::size_t kLineBytes = 1024;
  static constexpr std::size_t kRingBytes = 65536;
  static constexpr std::size_t kSegmentBytes = 131072;
  static constexpr std::size_t kRate = 65536;
  static constexpr std::size_t kBurst = 131072;

  // `clock` must outlive the log. Lines of earlier runs are read back; what cannot be read is
  // skipped.
  OutputLog(std::filesystem::path directory, const Clock& clock);

  void feed(std::string_view bytes);
  void finish();  // The app has ended: its last line may have no newline.

  // Lines after number `seq`, oldest first, at most `limit`.
  [[nodiscard]] std::vector<device_api::OutputLine> after(std::int64_t seq,
                                                          std::size_t limit = 256) const;
  // Waits until there is a line after `seq`, at most `limit`.
  void wait_after(std::int64_t seq, std::chrono::milliseconds limit) const;

  void close();  // The app is deleted: readers end.
  [[nodiscard]] bool closed() const;

 private:
  // False when the last row is cut off: by a power cut or a full disk.
  [[nodiscard]] bool read_segment(const std::filesystem::path& path);
  void end_line();
  void refill();
  void report_dropped();
  void append(std::string text, bool cut);
  void remember(device_api::OutputLine line);
  void store(const device_api::OutputLine& line);

  std::filesystem::path directory_;
  const Clock* clock_;
  Descriptor file_;
  std::size_t file_bytes_ = 0;
  bool torn_ = false;  // The file's last row has no end.
  std::string line_;
  bool cut_ = false;
  std::size_t tokens_ = kBurst;
  std::chrono::nanoseconds refilled_{0};
  std::chrono::nanoseconds reported_{0};
  std::size_t dropped_ = 0;

  mutable std::mutex lock_;  // Guards what follows.
  mutable std::condition_variable changed_;
  std::deque<device_api::OutputLine> ring_;
  std::size_t ring_bytes_ = 0;
  std::int64_t last_ = 0;
  bool closed_ = false;
};

}  // namespace sphere::agent
