// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <optional>
#include <string>

namespace sphere::recovery {

// Takes a board's boot messages apart into lines, however they arrive.
class BootText {
 public:
  // The line that `byte` ends, without CR and LF.
  [[nodiscard]] std::optional<std::string> take(std::byte byte);
  void reset() { line_.clear(); }
  // Whether nothing of the next line is there.
  [[nodiscard]] bool at_line_start() const { return line_.empty(); }

 private:
  static constexpr std::size_t kLimit = 256;  // What is longer is no boot message.
  std::string line_;
};

}  // namespace sphere::recovery
