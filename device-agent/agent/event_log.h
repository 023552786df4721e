// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sphere/core/clock.h"
#include "sphere/json/value.h"

namespace sphere::agent {

struct LoggedEvent {
  std::int64_t seq = 0;
  std::string category;  // "AppExit"
  std::string component_id = {};
  std::string image_id = {};
  std::string first_at = {}, last_at = {};
  std::int64_t count = 1;
  json::Value fields = json::Value{json::Object{}};
};

[[nodiscard]] json::Value to_json(const LoggedEvent& event);

// What happened on the board, the last kEvents of it, kept on disk in two segments. An event equal
// to one of the last hour (category, component, image, fields) is counted there and takes a new
// number, so that a reader sees it again. Of one category and component an hour has kKinds
// different events; what differs beyond is one more event, so that no app can push out what others
// did. A clock that was set by more than kJumpSeconds is the event ClockJump, told before the next
// one. Belongs to the loop's thread.
class EventLog {
 public:
  static constexpr std::size_t kEvents = 4000;
  static constexpr std::chrono::seconds kSame{3600};
  static constexpr std::int64_t kJumpSeconds = 60;
  static constexpr std::ptrdiff_t kKinds = 64;
  static constexpr std::size_t kSegmentBytes = 262144;

  // `clock` must outlive the log.
  EventLog(std::filesystem::path directory, const Clock& clock);

  void add(std::string_view category, std::string_view component_id, std::string_view image_id,
           json::Value fields);
  // Events after number `seq`, oldest first, at most `limit`.
  [[nodiscard]] std::vector<LoggedEvent> after(std::int64_t seq, std::size_t limit = 500) const;
  [[nodiscard]] std::int64_t last() const noexcept { return last_; }

 private:
  // An event of the last hour and of this run.
  struct Started {
    std::int64_t seq;
    std::chrono::nanoseconds at;  // Monotonic: the hour is an hour whatever the clock does.
    std::string category, component_id;
  };
  // False when the last row is cut off: by a power cut or a full disk.
  [[nodiscard]] bool read_segment(const std::filesystem::path& path);
  [[nodiscard]] std::deque<Started>::iterator find_same(const LoggedEvent& event);
  void add_event(std::string_view category, std::string_view component_id,
                 std::string_view image_id, json::Value fields);
  // Records it when the clock was set since the last event.
  void note_clock();
  void put(LoggedEvent event);
  void store(const LoggedEvent& event);

  std::filesystem::path directory_;
  const Clock* clock_;
  std::int64_t last_ = 0;
  bool torn_ = false;               // The file's last row has no end.
  std::deque<LoggedEvent> events_;  // By number.
  std::deque<Started> started_;     // By time.
  std::int64_t ahead_;              // Seconds of the clock at monotonic 0.
};

}  // namespace sphere::agent
