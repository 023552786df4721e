// SPDX-License-Identifier: MIT
#include "device-agent/agent/logs/diagnostic_log.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <string_view>
#include <utility>
#include <vector>

#include "sphere/core/clock.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/device_api/device_log.h"

namespace sphere::agent {

DiagnosticLog::DiagnosticLog(const Clock& clock, std::string_view version)
    : clock_{&clock}, started_{clock.monotonic()} {
  write(device_api::kLogBoot, std::move(device_api::LogParameters{}.text(version)));
}

void DiagnosticLog::write(device_api::LogMessageId message, device_api::LogParameters parameters) {
  const auto* row = device_api::find_log_message(message.category, message.id);
  const auto up =
      std::chrono::duration_cast<std::chrono::milliseconds>(clock_->monotonic() - started_);
  device_api::LogEntry entry{
      .milliseconds = static_cast<std::uint32_t>(up.count()),
      .priority = row != nullptr ? row->priority : device_api::LogPriority::info,
      .category = message.category,
      .id = message.id,
      .parameters = std::move(parameters).take()};
  const std::lock_guard guard{lock_};
  ring_.add(entry);
  recent_.push_back({.seq = ++last_, .entry = std::move(entry)});
  if (recent_.size() > kRecent) {
    recent_.pop_front();
  }
  changed_.notify_all();
}

std::vector<std::byte> DiagnosticLog::bytes() const {
  const std::lock_guard guard{lock_};
  return ring_.bytes();
}

std::vector<DiagnosticLog::Numbered> DiagnosticLog::after(std::int64_t seq,
                                                          std::size_t limit) const {
  const std::lock_guard guard{lock_};
  std::vector<Numbered> found;
  for (const auto& entry : recent_) {
    if (entry.seq > seq && found.size() < limit) {
      found.push_back(entry);
    }
  }
  return found;
}

void DiagnosticLog::wait_after(std::int64_t seq, std::chrono::milliseconds limit) const {
  std::unique_lock guard{lock_};
  changed_.wait_for(guard, limit, [&] { return last_ > seq; });
}

Result<void> DiagnosticLog::save(const std::filesystem::path& path) const {
  return write_file(path, bytes(), {.mode = 0600});
}

}  // namespace sphere::agent
