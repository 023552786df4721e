// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "cli/context.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/result.h"
#include "sphere/recovery/event.h"
#include "sphere/recovery/journal.h"

namespace sphere::cli {

// Where the events of a recovery go: to the person, to the file of --events, and the steps to the
// board's journal.
class RecoveryReport {
 public:
  // `events` is the file of --events, "-" for standard error, or empty. Errors: as system_error().
  [[nodiscard]] static Result<std::unique_ptr<RecoveryReport>> create(Context& context,
                                                                      std::string board,
                                                                      const std::string& events);

  void set_journal(recovery::Journal journal) { journal_ = std::move(journal); }
  void take(const recovery::Event& event, recovery::Time at);
  void end(const recovery::Outcome& outcome, recovery::Verdict booted, recovery::Time at);

  [[nodiscard]] const std::string& device_id() const { return device_id_; }
  [[nodiscard]] std::string_view step() const { return step_; }

 private:
  RecoveryReport(Context& context, std::string board)
      : context_{context}, board_{std::move(board)} {}
  void on(const recovery::Identified& event);
  void on(const recovery::StepBegun& event);
  void on(const recovery::Progress& event);
  void on(const recovery::DeviceLog& event);
  void on(const recovery::Retry& event);
  void on(const recovery::Warning& event);
  void on(const recovery::Found& event);
  void on(const recovery::Waiting& event);
  void on(const recovery::Preflight& event);
  void write(const std::string& line);
  void note(std::string_view step, std::string_view image, bool verified);

  Context& context_;
  std::string board_;
  Descriptor events_;
  std::optional<recovery::Journal> journal_;
  std::string device_id_;
  std::string_view step_ = "find";
  std::string image_;
  recovery::Time last_progress_ = {};
};

}  // namespace sphere::cli
