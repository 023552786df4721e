// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

#include "sphere/core/clock.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/result.h"

namespace sphere::virtual_board {

// The file board.log, which never grows beyond 1 MiB and a line: then it becomes board.log.1 and
// begins anew. What cannot be written, on a full disk for example, is dropped: the log must not
// stop the board.
class BoardLog {
 public:
  static constexpr std::size_t kLimit = std::size_t{1} << 20U;
  static constexpr std::size_t kLongestLine = 4096;  // Longer lines are cut into pieces.

  // Errors: as system_error(). `clock` must outlive this object.
  [[nodiscard]] static Result<BoardLog> open(const std::filesystem::path& path, const Clock& clock);

  // A line of the board itself: "<time> sphere-board: <text>".
  void say(std::string_view text);
  // Output of sphered as it came, in any pieces; only whole lines reach the file.
  void add_output(std::string_view piece);
  // What was left without a line feed when sphered ended.
  void end_output();
  // The newest line of sphered's output that is not advice ("sphered: next: ..."); empty when it
  // has said nothing.
  [[nodiscard]] const std::string& last_output_line() const noexcept { return last_line_; }

 private:
  BoardLog(std::filesystem::path path, Descriptor file, std::size_t size, const Clock& clock);
  void write_line(std::string_view line);

  std::filesystem::path path_;
  Descriptor file_;
  std::size_t size_;
  const Clock* clock_;
  std::string pending_;  // Output without a line feed so far.
  std::string last_line_;
};

}  // namespace sphere::virtual_board
