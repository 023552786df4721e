// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "cli/context.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/result.h"
#include "sphere/recovery/event.h"
#include "sphere/recovery/journal.h"

namespace sphere::cli {

// What the boards of one command share: the person's terminal, the file of --events, the log of
// --log-frames. For any thread.
class RecoverySinks {
 public:
  // `events` is the file of --events, "-" for standard error, or empty; `frames` is the file of
  // --log-frames, or empty. With `several`, lines for the person begin with the board. Errors: as
  // system_error().
  [[nodiscard]] static Result<std::unique_ptr<RecoverySinks>> create(Context& context,
                                                                     const std::string& events,
                                                                     const std::string& frames,
                                                                     bool several);

  void step(std::string_view board, std::string_view text);
  void verbose(std::string_view board, std::string_view text);
  void warn(std::string_view board, std::string_view text);
  // Of one board alone; of several there is a line for each hundredth of the whole.
  void bytes(std::uint64_t done, std::uint64_t total);
  void write_event(const std::string& line);
  // Pieces of more than 64 bytes to a board are parts of files, maybe secret ones: of these the log
  // has the length and SHA-256.
  void write_frame(std::string_view board, bool to_board, std::span<const std::byte> bytes,
                   recovery::Time at);

  [[nodiscard]] bool has_frames() const { return static_cast<bool>(frames_); }
  [[nodiscard]] std::int64_t unix_seconds() const { return context_->clock.unix_seconds(); }

 private:
  RecoverySinks(Context& context, bool several) : context_{&context}, several_{several} {}
  [[nodiscard]] std::string line(std::string_view board, std::string_view text) const;
  void append(Descriptor& file, const std::string& text, std::string_view what);

  std::mutex mutex_;  // Guards all below.
  Context* context_;
  bool several_;
  Descriptor events_;
  Descriptor frames_;
};

// Where the events of one board's recovery go: to the person, to the file of --events, and the
// steps to the board's journal.
class RecoveryReport {
 public:
  RecoveryReport(RecoverySinks& sinks, std::string board)
      : sinks_{&sinks}, board_{std::move(board)} {}

  // With `tell` the person learns where the last run on this board ended.
  void set_journal(recovery::Journal journal, bool tell);
  void take(const recovery::Event& event, recovery::Time at);
  void end(const recovery::Outcome& outcome, recovery::Verdict booted, recovery::Time at);

  [[nodiscard]] const std::string& device_id() const { return device_id_; }
  [[nodiscard]] std::string_view step() const { return step_; }

 private:
  void on(const recovery::Identified& event);
  void on(const recovery::StepBegun& event);
  void on(const recovery::Progress& event);
  void on(const recovery::DeviceLog& event);
  void on(const recovery::Retry& event);
  void on(const recovery::Warning& event);
  void on(const recovery::Found& event);
  void on(const recovery::Waiting& event);
  void on(const recovery::Preflight& event);
  void tell_last() const;
  void note(std::string_view step, std::string_view image, std::uint64_t offset, bool verified);

  RecoverySinks* sinks_;
  std::string board_;
  std::optional<recovery::Journal> journal_;
  bool tells_last_ = false;
  std::string device_id_;
  std::string_view step_ = "find";
  std::string image_;
  recovery::Time last_progress_ = {};
};

}  // namespace sphere::cli
