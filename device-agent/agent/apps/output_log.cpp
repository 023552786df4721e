// SPDX-License-Identifier: MIT
#include "device-agent/agent/apps/output_log.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <fcntl.h>
#include <filesystem>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <unistd.h>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "sphere/core/clock.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/device_api/bodies.h"
#include "sphere/json/value.h"

namespace sphere::agent {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kCurrent = "output.log";
constexpr std::string_view kEarlier = "output.old";
constexpr std::size_t kLineOverhead = 96;  // JSON around the text, roughly.

// An app may print anything; what goes out is UTF-8.
std::string printable(std::string text) {
  return is_valid_utf8(text) ? std::move(text) : escape_control(text);
}

}  // namespace

OutputLog::OutputLog(fs::path directory, const Clock& clock)
    : directory_{std::move(directory)}, clock_{&clock}, refilled_{clock.monotonic()} {
  if (!make_directories(directory_, 0700)) {
    return;  // Lines stay in memory only; the board's disk is full or read-only.
  }
  [[maybe_unused]] const bool earlier = read_segment(directory_ / kEarlier);
  torn_ = !read_segment(directory_ / kCurrent);
  file_.reset(
      ::open((directory_ / kCurrent).c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  std::error_code error;
  const auto size = fs::file_size(directory_ / kCurrent, error);
  file_bytes_ = error ? 0 : size;
}

bool OutputLog::read_segment(const fs::path& path) {
  const auto text = read_text_file(path, 2 * kSegmentBytes);
  if (!text) {
    return true;
  }
  for (const auto& row : split(*text, '\n')) {
    const auto value = row.empty() ? fail(Errc::corrupt, "") : json::parse(row);
    if (!value) {
      continue;  // The last line before a power cut.
    }
    if (auto line = device_api::output_line_from_json(*value)) {
      last_ = std::max(last_, line->seq);
      remember(*std::move(line));
    }
  }
  return text->empty() || text->ends_with('\n');
}

void OutputLog::feed(std::string_view bytes) {
  for (const char character : bytes) {
    if (character == '\n') {
      end_line();
    } else if (line_.size() < kLineBytes) {
      line_.push_back(character);
    } else {
      cut_ = true;
    }
  }
}

void OutputLog::finish() {
  if (!line_.empty()) {
    end_line();
  }
  report_dropped();
}

void OutputLog::end_line() {
  refill();
  auto text = printable(std::exchange(line_, {}));
  const bool cut = std::exchange(cut_, false);
  const auto cost = text.size() + 1;
  if (cost > tokens_) {
    ++dropped_;
    return;
  }
  tokens_ -= cost;
  if (dropped_ > 0 && clock_->monotonic() - reported_ >= std::chrono::seconds{1}) {
    report_dropped();
  }
  append(std::move(text), cut);
}

void OutputLog::refill() {
  const auto now = clock_->monotonic();
  const auto passed = std::chrono::duration_cast<std::chrono::milliseconds>(now - refilled_);
  const auto earned = static_cast<std::size_t>(passed.count()) * kRate / 1000;
  if (earned > 0) {
    tokens_ = std::min(kBurst, tokens_ + earned);
    refilled_ = now;
  }
}

void OutputLog::report_dropped() {
  if (dropped_ == 0) {
    return;
  }
  reported_ = clock_->monotonic();
  append(fmt::format("[{} lines dropped: more than {} KiB/s]", std::exchange(dropped_, 0),
                     kRate / 1024),
         false);
}

void OutputLog::append(std::string text, bool cut) {
  device_api::OutputLine line{
      .seq = 0, .at = to_rfc3339(clock_->unix_seconds()), .text = std::move(text), .cut = cut};
  {
    const std::lock_guard guard{lock_};
    line.seq = ++last_;
  }
  store(line);
  remember(std::move(line));
}

void OutputLog::remember(device_api::OutputLine line) {
  const std::lock_guard guard{lock_};
  ring_bytes_ += line.text.size() + kLineOverhead;
  ring_.push_back(std::move(line));
  while (ring_bytes_ > kRingBytes && ring_.size() > 1) {
    ring_bytes_ -= ring_.front().text.size() + kLineOverhead;
    ring_.pop_front();
  }
  changed_.notify_all();
}

void OutputLog::store(const device_api::OutputLine& line) {
  if (!file_) {
    return;
  }
  auto row = json::to_compact(device_api::to_json(line)) + "\n";
  if (file_bytes_ + row.size() > kSegmentBytes) {
    std::error_code ignored;
    fs::rename(directory_ / kCurrent, directory_ / kEarlier, ignored);
    file_.reset(
        ::open((directory_ / kCurrent).c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    file_bytes_ = 0;
    torn_ = false;
  }
  if (torn_) {
    row.insert(0, "\n");
  }
  // A full disk loses old output, never the app.
  torn_ = !file_ || !write_all(file_.get(), std::as_bytes(std::span{row}), directory_ / kCurrent);
  file_bytes_ += row.size();
}

std::vector<device_api::OutputLine> OutputLog::after(std::int64_t seq, std::size_t limit) const {
  const std::lock_guard guard{lock_};
  std::vector<device_api::OutputLine> lines;
  for (const auto& line : ring_) {
    if (line.seq > seq && lines.size() < limit) {
      lines.push_back(line);
    }
  }
  return lines;
}

void OutputLog::wait_after(std::int64_t seq, std::chrono::milliseconds limit) const {
  std::unique_lock guard{lock_};
  changed_.wait_for(guard, limit, [&] { return last_ > seq || closed_; });
}

void OutputLog::close() {
  const std::lock_guard guard{lock_};
  closed_ = true;
  changed_.notify_all();
}

bool OutputLog::closed() const {
  const std::lock_guard guard{lock_};
  return closed_;
}

}  // namespace sphere::agent
