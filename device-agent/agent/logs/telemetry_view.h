// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "device-agent/agent/event_log.h"
#include "device-agent/agent/refusal.h"
#include "device-agent/agent/state/document.h"
#include "sphere/json/value.h"

namespace sphere::agent {

// An event as error reports show it: eventCategory, eventClass, eventType, eventCount,
// startTimestampUtc, endTimestampUtc, description, and componentId and imageId where it has them.
[[nodiscard]] json::Value to_report(const LoggedEvent& event);

// GET and DELETE /telemetry: the event log from the last DELETE on. Belongs to the loop's thread.
class TelemetryView {
 public:
  // `events` must outlive the view.
  TelemetryView(const std::filesystem::path& directory, const EventLog& events);

  [[nodiscard]] std::vector<std::byte> read() const;
  // Empties the view; on stable storage when it returns.
  [[nodiscard]] Answer<void> clear();

 private:
  Document file_;
  const EventLog* events_;
  std::int64_t cleared_ = 0;  // Number of the last event that the view does not show.
};

}  // namespace sphere::agent
