// SPDX-License-Identifier: MIT
#include "device-agent/agent/logs/telemetry_view.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "device-agent/agent/event_log.h"
#include "device-agent/agent/refusal.h"
#include "sphere/device_api/error_code.h"
#include "sphere/device_api/telemetry.h"
#include "sphere/json/value.h"

namespace sphere::agent {
namespace {

// What the board did not mean to happen; every other category is planned.
constexpr std::array<std::string_view, 14> kUnplanned = {
    "AppCrash",         "AppExit",           "AppRestartLoop", "RTCrash",     "RTStall",
    "UpdateRolledBack", "AgentCrash",        "VerityError",    "BootSlotBad", "SandboxRefused",
    "SandboxViolation", "ConnectionRefused", "DnsRefused",     "StorageFull"};

std::string_view class_of(std::string_view category) {
  if (category.starts_with("RT")) {
    return "RTApp";
  }
  const bool app = category.starts_with("App") || category == "ConnectionRefused" ||
                   category == "DnsRefused" || category == "PeripheralConflict";
  return app ? "App" : "OS";
}

std::string text_of(const json::Value& value) {
  return value.string() != nullptr ? *value.string() : json::to_compact(value);
}

}  // namespace

json::Value to_report(const LoggedEvent& event) {
  std::string fields;
  const auto add = [&fields](std::string_view key, const std::string& value) {
    if (!value.empty()) {
      fields += (fields.empty() ? "" : "; ") + std::string{key} + "=" + value;
    }
  };
  for (const auto& member : event.fields.members()) {
    add(member.key, text_of(member.value));
  }
  add("component_id", event.component_id);
  add("image_id", event.image_id);
  const bool unplanned =
      std::ranges::find(kUnplanned, std::string_view{event.category}) != kUnplanned.end();
  json::Value report;
  report.set("eventCategory", event.category)
      .set("eventClass", class_of(event.category))
      .set("eventType", unplanned ? "Unplanned" : "Planned")
      .set("eventCount", event.count)
      .set("startTimestampUtc", event.first_at)
      .set("endTimestampUtc", event.last_at)
      .set("description", event.category + (fields.empty() ? "" : " (" + fields + ")"));
  if (!event.component_id.empty()) {
    report.set("componentId", event.component_id);
  }
  if (!event.image_id.empty()) {
    report.set("imageId", event.image_id);
  }
  return report;
}

TelemetryView::TelemetryView(const std::filesystem::path& directory, const EventLog& events)
    : file_{directory / "telemetry.json"},
      events_{&events},
      cleared_{file_.load().integer_at("cleared").value_or(0)} {}

std::vector<std::byte> TelemetryView::read() const {
  device_api::Telemetry telemetry{.waiting = true};
  for (const auto& event : events_->after(cleared_, SIZE_MAX)) {
    telemetry.events.push_back(to_report(event));
  }
  return device_api::write_telemetry(telemetry);
}

Answer<void> TelemetryView::clear() {
  const auto last = events_->last();
  if (const auto saved = file_.save(json::Value{}.set("cleared", last)); !saved) {
    return refuse(device_api::kInternal, saved.error());
  }
  cleared_ = last;
  return {};
}

}  // namespace sphere::agent
