// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string_view>

#include "sphere/core/result.h"

namespace sphere::cli {

// What a command says beside its result: lines and progress on standard error. Only the program's
// reporter (cli/output/terminal_reporter.h) writes there.
class Reporter {
 public:
  virtual ~Reporter() = default;

  // "warn: <text>"; each text once a run; nothing with --only-show-errors.
  virtual void warn(std::string_view text) = 0;
  // "verbose: <text>" with --verbose or --debug.
  virtual void verbose(std::string_view text) = 0;
  // A step begins: shown as progress (cli.md 6.3), never on standard output.
  virtual void step(std::string_view text) = 0;
  // Bytes of the current step; total 0 when it is not known.
  virtual void bytes(std::size_t done, std::size_t total) = 0;
  // How many of the parts of a long step are done, for a line on a terminal and for --progress
  // json; total 0 when it is not known.
  virtual void items(std::string_view text, std::size_t done, std::size_t total) = 0;
  // "error: ..." and "next: ...": one part failed, and the command goes on with the others.
  virtual void error(const Error& error) = 0;
};

}  // namespace sphere::cli
