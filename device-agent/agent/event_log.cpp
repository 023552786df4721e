// SPDX-License-Identifier: MIT
#include "device-agent/agent/event_log.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <fcntl.h>
#include <filesystem>
#include <ranges>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "sphere/core/clock.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/json/value.h"

namespace sphere::agent {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kCurrent = "events.log";
constexpr std::string_view kEarlier = "events.old";

std::int64_t ahead_of(const Clock& clock) {
  return clock.unix_seconds() -
         std::chrono::duration_cast<std::chrono::seconds>(clock.monotonic()).count();
}

LoggedEvent event_from_json(const json::Value& value) {
  LoggedEvent event{.seq = value.integer_at("seq").value_or(0),
                    .category = value.string_at("category").value_or("")};
  event.component_id = value.string_at("componentId").value_or("");
  event.image_id = value.string_at("imageId").value_or("");
  event.first_at = value.string_at("firstAt").value_or("");
  event.last_at = value.string_at("lastAt").value_or("");
  event.count = value.integer_at("count").value_or(1);
  if (const auto* fields = value.find("fields")) {
    event.fields = *fields;
  }
  return event;
}

}  // namespace

json::Value to_json(const LoggedEvent& event) {
  return json::Value{}
      .set("seq", event.seq)
      .set("category", event.category)
      .set("componentId", event.component_id)
      .set("imageId", event.image_id)
      .set("firstAt", event.first_at)
      .set("lastAt", event.last_at)
      .set("count", event.count)
      .set("fields", event.fields);
}

EventLog::EventLog(fs::path directory, const Clock& clock)
    : directory_{std::move(directory)}, clock_{&clock}, ahead_{ahead_of(clock)} {
  if (make_directories(directory_, 0700)) {
    [[maybe_unused]] const bool earlier = read_segment(directory_ / kEarlier);
    torn_ = !read_segment(directory_ / kCurrent);
  }
}

bool EventLog::read_segment(const fs::path& path) {
  const auto text = read_text_file(path, 2 * kSegmentBytes);
  if (!text) {
    return true;
  }
  for (const auto& row : split(*text, '\n')) {
    const auto value = row.empty() ? fail(Errc::corrupt, "") : json::parse(row);
    if (value && value->integer_at("seq").value_or(0) > last_) {
      put(event_from_json(*value));
    }
  }
  return text->empty() || text->ends_with('\n');
}

void EventLog::add(std::string_view category, std::string_view component_id,
                   std::string_view image_id, json::Value fields) {
  note_clock();
  add_event(category, component_id, image_id, std::move(fields));
}

void EventLog::note_clock() {
  const auto ahead = ahead_of(*clock_);
  const auto jump = ahead - std::exchange(ahead_, ahead);
  if (jump > kJumpSeconds || jump < -kJumpSeconds) {
    add_event("ClockJump", "", "", json::Value{}.set("seconds", jump));
  }
}

void EventLog::add_event(std::string_view category, std::string_view component_id,
                         std::string_view image_id, json::Value fields) {
  const auto now = clock_->monotonic();
  LoggedEvent event{.seq = last_ + 1, .category = std::string{category}};
  event.component_id = component_id;
  event.image_id = image_id;
  event.first_at = to_rfc3339(clock_->unix_seconds());
  event.last_at = event.first_at;
  event.fields = std::move(fields);
  while (!started_.empty() && now - started_.front().at > kSame) {
    started_.pop_front();
  }
  auto first = find_same(event);
  if (first == started_.end() && std::ranges::count_if(started_, [&](const Started& other) {
                                   return other.category == event.category &&
                                          other.component_id == event.component_id;
                                 }) >= kKinds) {
    event.image_id.clear();
    event.fields = json::Value{}.set("reason", "more different ones than are listed");
    first = find_same(event);
  }
  if (first != started_.end()) {
    const auto same = std::ranges::find(events_, first->seq, &LoggedEvent::seq);
    event.count = same->count + 1;
    // After a clock that was set back the later one has the earlier time.
    event.first_at = std::min(same->first_at, event.first_at);
    event.last_at = std::max(same->last_at, event.last_at);
    events_.erase(same);
    first->seq = event.seq;
  } else {
    started_.push_back({.seq = event.seq,
                        .at = now,
                        .category = event.category,
                        .component_id = event.component_id});
  }
  store(event);
  put(std::move(event));
}

// Every entry of started_ has its event in events_.
std::deque<EventLog::Started>::iterator EventLog::find_same(const LoggedEvent& event) {
  const auto same =
      std::ranges::find_if(std::views::reverse(events_), [&](const LoggedEvent& other) {
        return other.category == event.category && other.component_id == event.component_id &&
               other.image_id == event.image_id && other.fields == event.fields;
      });
  return same == events_.rend() ? started_.end()
                                : std::ranges::find(started_, same->seq, &Started::seq);
}

void EventLog::put(LoggedEvent event) {
  last_ = event.seq;
  events_.push_back(std::move(event));
  if (events_.size() > kEvents) {
    std::erase_if(started_,
                  [gone = events_.front().seq](const Started& entry) { return entry.seq == gone; });
    events_.pop_front();
  }
}

void EventLog::store(const LoggedEvent& event) {
  const auto path = directory_ / kCurrent;
  std::error_code error;
  const auto size = fs::file_size(path, error);
  if (!error && size > kSegmentBytes) {
    fs::rename(path, directory_ / kEarlier, error);
    torn_ = torn_ && error;
  }
  const Descriptor file{::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)};
  const auto row = (torn_ ? "\n" : "") + json::to_compact(to_json(event)) + "\n";
  // A full disk loses the record of the event, not the event itself.
  torn_ = !file || !write_all(file.get(), std::as_bytes(std::span{row}), path);
}

std::vector<LoggedEvent> EventLog::after(std::int64_t seq, std::size_t limit) const {
  std::vector<LoggedEvent> found;
  for (const auto& event : events_) {
    if (event.seq > seq && found.size() < limit) {
      found.push_back(event);
    }
  }
  return found;
}

}  // namespace sphere::agent
