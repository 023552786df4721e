// SPDX-License-Identifier: MIT
#include "cli/net/recovery_report.h"

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <fcntl.h>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <unistd.h>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "sphere/core/file.h"
#include "sphere/core/text.h"
#include "sphere/json/value.h"
#include "sphere/recovery/event_json.h"

namespace sphere::cli {

namespace {

constexpr std::chrono::milliseconds kProgressPause{100};

std::int64_t seconds(recovery::Time time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time).count();
}

std::string_view sentence(recovery::Step step) {
  using recovery::Step;
  switch (step) {
    case Step::enter:
      return "Entering recovery mode";
    case Step::identify:
      return "The board is in recovery mode";
    case Step::loader:
      return "Sending the loaders";
    case Step::erase:
      return "The board erases its flash";
    case Step::write:
      return "Writing images";
    case Step::reboot:
      return "Restarting the board";
    default:
      return recovery::to_text(step);
  }
}

}  // namespace

Result<std::unique_ptr<RecoveryReport>> RecoveryReport::create(Context& context, std::string board,
                                                               const std::string& events) {
  std::unique_ptr<RecoveryReport> report{new RecoveryReport{context, std::move(board)}};
  if (events == "-") {
    report->events_.reset(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0));
  } else if (!events.empty()) {
    constexpr mode_t kMode = 0644;
    report->events_.reset(::open(events.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, kMode));
    if (!report->events_) {
      return tl::make_unexpected(system_error("write", events, errno));
    }
  }
  return report;
}

// The recovery goes on without its log: the disk may be full, the board is more important.
void RecoveryReport::write(const std::string& line) {
  if (!events_) {
    return;
  }
  const std::string text = line + "\n";
  if (!write_all(events_.get(), std::as_bytes(std::span{text}), "events")) {
    context_.reporter.warn("the events of this recovery can no longer be written");
    events_.reset();
  }
}

void RecoveryReport::note(std::string_view step, std::string_view image, bool verified) {
  if (journal_ && !journal_->note(step, image, verified, context_.clock.unix_seconds())) {
    context_.reporter.warn("the journal of this recovery can no longer be written");
    journal_.reset();
  }
}

void RecoveryReport::take(const recovery::Event& event, recovery::Time at) {
  if (std::holds_alternative<recovery::Progress>(event)) {
    const auto& progress = std::get<recovery::Progress>(event);
    const bool last = progress.bytes_done == progress.bytes_total;
    if (!last && at - last_progress_ < kProgressPause) {
      return;
    }
    last_progress_ = at;
  }
  write(json::to_compact(recovery::to_json(event, at, board_)));
  std::visit([this](const auto& what) { on(what); }, event);
}

void RecoveryReport::end(const recovery::Outcome& outcome, recovery::Verdict booted,
                         recovery::Time at) {
  write(json::to_compact(recovery::result_to_json(outcome, booted, at, board_)));
  if (!outcome.error) {
    note("done", "", outcome.verified == recovery::Verdict::yes);
  }
}

void RecoveryReport::on(const recovery::Identified& event) {
  if (!event.chip.empty() && device_id_.empty() && event.device_id.empty()) {
    context_.reporter.verbose(fmt::format("ROM id {}", escape_control(event.chip)));
  }
  if (event.device_id.empty() || !device_id_.empty()) {
    return;
  }
  device_id_ = to_lower(escape_control(event.device_id));
  context_.reporter.verbose("device " + device_id_);
  if (journal_ && !journal_->rename_to(device_id_)) {
    journal_.reset();
  }
}

void RecoveryReport::on(const recovery::StepBegun& event) {
  step_ = recovery::to_text(event.step);
  context_.reporter.step(sentence(event.step));
  note(step_, image_, false);
}

void RecoveryReport::on(const recovery::Progress& event) {
  if (event.image != image_) {
    image_ = event.image;
    note(step_, image_, false);
  }
  context_.reporter.bytes(event.bytes_done, event.bytes_total);
}

void RecoveryReport::on(const recovery::DeviceLog& event) {
  context_.reporter.verbose("board: " + escape_control(event.text));
}

void RecoveryReport::on(const recovery::Retry& event) {
  context_.reporter.step(fmt::format("{}: {}, try {} of {}", event.what, escape_control(event.why),
                                     event.attempt, event.of));
}

void RecoveryReport::on(const recovery::Warning& event) {
  context_.reporter.warn(event.next.empty() ? event.text
                                            : fmt::format("{}; {}", event.text, event.next));
}

void RecoveryReport::on(const recovery::Found& event) {
  context_.reporter.verbose(fmt::format("board at {}", event.location));
}

void RecoveryReport::on(const recovery::Waiting& event) {
  context_.reporter.step(fmt::format("{}, {} s of at most {} s", event.reason, seconds(event.since),
                                     seconds(event.limit)));
}

void RecoveryReport::on(const recovery::Preflight& event) {
  context_.reporter.step(fmt::format("The set is complete: {} files, {} bytes, {}", event.files,
                                     with_thousands(event.bytes), event.signer));
}

}  // namespace sphere::cli
