// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>

#include "cli/output/reporter.h"
#include "sphere/core/clock.h"
#include "sphere/core/result.h"

namespace sphere::cli {

enum class ProgressForm : std::uint8_t {
  line,   // One line of the terminal, written over and removed at the end.
  plain,  // A line for each step.
  json,   // An object a line.
  none,
};

struct ReporterOptions {
  bool verbose = false;
  bool only_errors = false;
  bool color = false;
  ProgressForm progress = ProgressForm::plain;
};

// Writes to standard error: the only place of the program that does. Lines begin with "error:",
// "next:", "warn:", "verbose:" or are progress. A failure to write is ignored: there is no other
// place to say it.
class TerminalReporter final : public Reporter {
 public:
  // `clock` must outlive this object.
  TerminalReporter(ReporterOptions options, const Clock& clock);

  void warn(std::string_view text) override;
  void verbose(std::string_view text) override;
  void step(std::string_view text) override;
  void bytes(std::size_t done, std::size_t total) override;
  void items(std::string_view text, std::size_t done, std::size_t total) override;
  void error(const Error& error) override;

  // Ends the progress, which failed or not.
  void finish(bool failed);
  // Takes the progress off the terminal, which is to show something else.
  void remove_progress_line();
  // Text as it is, such as help.
  void text(std::string_view text);

 private:
  void line(std::string_view prefix, std::string_view color, std::string_view text);
  void event(std::string_view name);
  void show_progress_line();
  void show_line(std::string_view text);
  [[nodiscard]] bool is_time_to_show(bool last);

  ReporterOptions options_;
  const Clock* clock_;
  std::set<std::string, std::less<>> warned_;
  std::string step_;
  std::size_t done_ = 0;
  std::size_t total_ = 0;
  std::chrono::nanoseconds step_began_{0};
  std::chrono::nanoseconds last_shown_{0};
  bool line_shown_ = false;
};

}  // namespace sphere::cli
