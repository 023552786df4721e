// SPDX-License-Identifier: MIT
#include "cli/net/recovery_report.h"

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <fcntl.h>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <unistd.h>
#include <utility>
#include <variant>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "cli/context.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/encoding.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/crypto/digest.h"
#include "sphere/json/value.h"
#include "sphere/recovery/event.h"
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

Result<std::unique_ptr<RecoverySinks>> RecoverySinks::create(Context& context,
                                                             const std::string& events,
                                                             const std::string& frames,
                                                             bool several) {
  std::unique_ptr<RecoverySinks> sinks{new RecoverySinks{context, several}};
  const auto open_log = [](Descriptor& file, const std::string& path, mode_t mode) -> Result<void> {
    file.reset(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, mode));
    return file ? Result<void>{} : tl::make_unexpected(system_error("write", path, errno));
  };
  constexpr mode_t kForAll = 0644;
  constexpr mode_t kForOwner = 0600;
  if (events == "-") {
    sinks->events_.reset(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0));
  } else if (!events.empty()) {
    SPHERE_TRY(open_log(sinks->events_, events, kForAll));
  }
  if (!frames.empty()) {
    SPHERE_TRY(open_log(sinks->frames_, frames, kForOwner));
  }
  return sinks;
}

std::string RecoverySinks::line(std::string_view board, std::string_view text) const {
  return several_ ? fmt::format("{}: {}", board, text) : std::string{text};
}

void RecoverySinks::step(std::string_view board, std::string_view text) {
  const std::scoped_lock lock{mutex_};
  context_->reporter.step(line(board, text));
}

void RecoverySinks::verbose(std::string_view board, std::string_view text) {
  const std::scoped_lock lock{mutex_};
  context_->reporter.verbose(line(board, text));
}

void RecoverySinks::warn(std::string_view board, std::string_view text) {
  const std::scoped_lock lock{mutex_};
  context_->reporter.warn(line(board, text));
}

void RecoverySinks::bytes(std::uint64_t done, std::uint64_t total) {
  if (!several_) {
    const std::scoped_lock lock{mutex_};
    context_->reporter.bytes(done, total);
  }
}

// The recovery goes on without its log: the disk may be full, the board is more important.
void RecoverySinks::append(Descriptor& file, const std::string& text, std::string_view what) {
  const std::scoped_lock lock{mutex_};
  if (file && !write_all(file.get(), std::as_bytes(std::span{text}), std::string{what})) {
    context_->reporter.warn(fmt::format("the {} of this recovery can no longer be written", what));
    file.reset();
  }
}

void RecoverySinks::write_event(const std::string& line) { append(events_, line + "\n", "events"); }

void RecoverySinks::write_frame(std::string_view board, bool to_board,
                                std::span<const std::byte> bytes, recovery::Time at) {
  constexpr std::size_t kShown = 64;
  const std::string content =
      to_board && bytes.size() > kShown
          ? fmt::format("{} bytes sha256 {}", bytes.size(), to_hex(crypto::sha256(bytes)))
          : to_hex(bytes);
  append(frames_,
         fmt::format("{:.6f} {} {} {}\n", std::chrono::duration<double>(at).count(), board,
                     to_board ? '>' : '<', content),
         "frames");
}

void RecoveryReport::note(std::string_view step, std::string_view image, std::uint64_t offset,
                          bool verified) {
  if (journal_ && !journal_->note({.step = std::string{step},
                                   .image = std::string{image},
                                   .offset = offset,
                                   .verified = verified},
                                  sinks_->unix_seconds())) {
    sinks_->warn(board_, "the journal of this recovery can no longer be written");
    journal_.reset();
  }
}

void RecoveryReport::set_journal(recovery::Journal journal, bool tell) {
  journal_ = std::move(journal);
  tells_last_ = tell;
  tell_last();
}

// What is right on the board is found out by asking the board, where its protocol can.
void RecoveryReport::tell_last() const {
  if (!journal_) {
    return;
  }
  const auto& last = journal_->last();
  if (tells_last_ && last && last->line.step != "done") {
    sinks_->step(board_,
                 fmt::format("The last recovery of this board ended in step {}{}",
                             escape_control(last->line.step),
                             last->line.image.empty()
                                 ? ""
                                 : fmt::format(" at {}", escape_control(last->line.image))));
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
  sinks_->write_event(json::to_compact(recovery::to_json(event, at, board_)));
  std::visit([this](const auto& what) { on(what); }, event);
}

void RecoveryReport::end(const recovery::Outcome& outcome, recovery::Verdict booted,
                         recovery::Time at) {
  sinks_->write_event(json::to_compact(recovery::result_to_json(outcome, booted, at, board_)));
  if (!outcome.error) {
    note("done", "", outcome.bytes_written, outcome.verified == recovery::Verdict::yes);
  }
}

void RecoveryReport::on(const recovery::Identified& event) {
  if (!event.chip.empty() && device_id_.empty() && event.device_id.empty()) {
    sinks_->verbose(board_, fmt::format("ROM id {}", escape_control(event.chip)));
  }
  if (event.device_id.empty() || !device_id_.empty()) {
    return;
  }
  device_id_ = to_lower(escape_control(event.device_id));
  sinks_->verbose(board_, "device " + device_id_);
  if (journal_ && !journal_->rename_to(device_id_)) {
    journal_.reset();
  } else if (journal_) {
    tell_last();
  }
}

void RecoveryReport::on(const recovery::StepBegun& event) {
  step_ = recovery::to_text(event.step);
  sinks_->step(board_, sentence(event.step));
  note(step_, image_, 0, false);
}

void RecoveryReport::on(const recovery::Progress& event) {
  if (event.image != image_) {
    image_ = event.image;
    note(step_, image_, event.bytes_done, false);
  }
  sinks_->bytes(event.bytes_done, event.bytes_total);
}

void RecoveryReport::on(const recovery::DeviceLog& event) {
  sinks_->verbose(board_, "board: " + escape_control(event.text));
}

void RecoveryReport::on(const recovery::Retry& event) {
  sinks_->step(board_, fmt::format("{}: {}, try {} of {}", event.what, escape_control(event.why),
                                   event.attempt, event.of));
}

void RecoveryReport::on(const recovery::Warning& event) {
  sinks_->warn(board_,
               event.next.empty() ? event.text : fmt::format("{}; {}", event.text, event.next));
}

void RecoveryReport::on(const recovery::Found& event) {
  sinks_->verbose(board_, fmt::format("board at {}", event.location));
}

void RecoveryReport::on(const recovery::Waiting& event) {
  sinks_->step(board_, fmt::format("{}, {} s of at most {} s", event.reason, seconds(event.since),
                                   seconds(event.limit)));
}

void RecoveryReport::on(const recovery::Preflight& event) {
  sinks_->step(board_, fmt::format("The set is complete: {} files, {} bytes, {}", event.files,
                                   with_thousands(event.bytes), event.signer));
}

}  // namespace sphere::cli
