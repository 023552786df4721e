// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "cli/commands/command.h"
#include "sphere/core/result.h"

// The jobs of a batch: one JSON object with the options of one command a line.
namespace sphere::cli {

inline constexpr std::size_t kMaxJobLine = std::size_t{64} * 1024;

// Reads one line, without its line feed:
//
//   {"image-package": "a.imagepackage", "key": "release", "force": true, "executables": ["x"]}
//
// A key is the long name of an option of `command`, but those in kWholeBatch. A flag takes true or
// false, a list strings, every other option a string or a whole number. What the line does not give
// comes from `defaults`, the options of the command line; both together must be enough.
// Errors (invalid_argument, usage.*): what is wrong, with line and column within the text.
[[nodiscard]] Result<Arguments> parse_job(const CommandSpec& command, const Arguments& defaults,
                                          std::string_view line);

// A line of the input, or that it was too long.
struct JobLine {
  std::size_t number = 0;  // From 1.
  std::string text;
  bool is_too_long = false;  // `text` is its beginning.
};

// Splits a stream into lines; blank ones are skipped.
class JobLines {
 public:
  // `interrupted` must outlive this.
  JobLines(int descriptor, const std::atomic<bool>& interrupted)
      : descriptor_{descriptor}, interrupted_{&interrupted} {}

  // Waits for a line, then takes those that are there already, at most `most`: a batch whose lines
  // come slowly is worked on line by line. Nothing at the end of the input, or when interrupted.
  // Error: io.
  [[nodiscard]] Result<std::vector<JobLine>> next(std::size_t most);

 private:
  [[nodiscard]] Result<bool> read_more(bool wait);
  void take_lines(std::size_t most, std::vector<JobLine>& lines);
  void take_line(std::string_view text, std::vector<JobLine>& lines);

  int descriptor_;
  const std::atomic<bool>* interrupted_;
  std::string buffer_;
  std::size_t number_ = 0;
  bool skips_rest_ = false;  // Of a line that was too long.
  bool at_end_ = false;
};

}  // namespace sphere::cli
