// SPDX-License-Identifier: MIT
#include "cli/output/terminal_reporter.h"

#include <chrono>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <unistd.h>

#include <fmt/format.h>

#include "cli/output/terminal.h"
#include "sphere/core/clock.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/json/value.h"

namespace sphere::cli {
namespace {

constexpr std::string_view kRed = "\x1b[31m";
constexpr std::string_view kYellow = "\x1b[33m";
constexpr std::string_view kDim = "\x1b[2m";
constexpr std::string_view kEnd = "\x1b[0m";
constexpr std::string_view kEraseLine = "\r\x1b[K";
// At most ten updates a second (cli.md 6.3).
constexpr std::chrono::milliseconds kBetweenUpdates{100};

void write_error_output(std::string_view text) {
  static_cast<void>(write_all(STDERR_FILENO, std::as_bytes(std::span{text}), "standard error"));
}

// One line: what a person reads must not end before its end.
std::string one_line(std::string_view text) {
  std::string result;
  for (const std::string& part : split(text, '\n')) {
    result += (result.empty() ? "" : "\n       ") + escape_control(part);
  }
  return result;
}

std::string size_text(std::size_t bytes) {
  constexpr std::size_t kKib = 1024;
  return bytes < kKib * kKib
             ? fmt::format("{} KiB", (bytes + kKib - 1) / kKib)
             : fmt::format("{:.1f} MiB", static_cast<double>(bytes) / (kKib * kKib));
}

}  // namespace

TerminalReporter::TerminalReporter(ReporterOptions options, const Clock& clock)
    : options_{options}, clock_{&clock} {
  if (options_.only_errors) {
    options_.progress = ProgressForm::none;
  }
}

void TerminalReporter::line(std::string_view prefix, std::string_view color,
                            std::string_view text) {
  remove_progress_line();
  const std::string shown = one_line(text);
  write_error_output(options_.color ? fmt::format("{}{}:{} {}\n", color, prefix, kEnd, shown)
                                    : fmt::format("{}: {}\n", prefix, shown));
}

void TerminalReporter::warn(std::string_view text) {
  if (!options_.only_errors && warned_.emplace(text).second) {
    line("warn", kYellow, text);
  }
}

void TerminalReporter::verbose(std::string_view text) {
  if (options_.verbose) {
    line("verbose", kDim, text);
  }
}

void TerminalReporter::step(std::string_view text) {
  step_ = text;
  done_ = 0;
  total_ = 0;
  step_began_ = clock_->monotonic();
  switch (options_.progress) {
    case ProgressForm::line:
      show_progress_line();
      break;
    case ProgressForm::plain:
      write_error_output(fmt::format("{}\n", one_line(text)));
      break;
    case ProgressForm::json:
      event("step");
      break;
    case ProgressForm::none:
      break;
  }
}

void TerminalReporter::bytes(std::size_t done, std::size_t total) {
  done_ = done;
  total_ = total;
  if (!is_time_to_show(done == total)) {
    return;
  }
  if (options_.progress == ProgressForm::line) {
    show_progress_line();
  } else if (options_.progress == ProgressForm::json) {
    event("bytes");
  }
}

void TerminalReporter::items(std::string_view text, std::size_t done, std::size_t total) {
  step_ = text;
  done_ = done;
  total_ = total;
  if (!is_time_to_show(done == total)) {
    return;
  }
  if (options_.progress == ProgressForm::json) {
    event("step");
  } else if (options_.progress == ProgressForm::line) {
    const auto parts = total == 0
                           ? with_thousands(done)
                           : fmt::format("{} of {}", with_thousands(done), with_thousands(total));
    show_line(fmt::format("{} {}", one_line(text), parts));
  }
}

bool TerminalReporter::is_time_to_show(bool last) {
  const auto now = clock_->monotonic();
  if (now - last_shown_ < kBetweenUpdates && !last) {
    return false;
  }
  last_shown_ = now;
  return true;
}

void TerminalReporter::event(std::string_view name) {
  json::Value object;
  object.set("event", name);
  object.set("step", step_);
  object.set("done", static_cast<std::uint64_t>(done_));
  object.set("total",
             total_ == 0 ? json::Value{} : json::Value{static_cast<std::uint64_t>(total_)});
  object.set("at", to_rfc3339(clock_->unix_seconds()));
  write_error_output(json::to_compact(object) + "\n");
}

void TerminalReporter::show_progress_line() {
  std::string text = one_line(step_);
  if (total_ > 0) {
    const double seconds = std::chrono::duration<double>(clock_->monotonic() - step_began_).count();
    const double rate = seconds > 0 ? static_cast<double>(done_) / seconds : 0;
    text += fmt::format("  {} of {}", size_text(done_), size_text(total_));
    if (rate > 0 && done_ < total_) {
      text += fmt::format(", {}/s, {:.0f} s left", size_text(static_cast<std::size_t>(rate)),
                          static_cast<double>(total_ - done_) / rate);
    }
  }
  show_line(text);
}

void TerminalReporter::show_line(std::string_view text) {
  write_error_output(
      fmt::format("{}{}", kEraseLine, cut_utf8(text, terminal_width(STDERR_FILENO) - 1)));
  line_shown_ = true;
}

void TerminalReporter::remove_progress_line() {
  if (line_shown_) {
    write_error_output(kEraseLine);
    line_shown_ = false;
  }
}

void TerminalReporter::finish(bool failed) {
  remove_progress_line();
  if (options_.progress == ProgressForm::json) {
    event(failed ? "failed" : "done");
  }
}

void TerminalReporter::error(const Error& error) {
  const Hint& hint = error.hint();
  const bool has_value =
      !hint.value.empty() && error.message().find(escape_control(hint.value)) == std::string::npos;
  line("error", kRed,
       has_value ? fmt::format("{}: {}", error.message(), hint.value) : error.message());
  if (!hint.next.empty()) {
    line("next", kDim, hint.next);
  }
}

void TerminalReporter::text(std::string_view text) { write_error_output(text); }

}  // namespace sphere::cli
