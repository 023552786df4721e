// SPDX-License-Identifier: MIT
#include "device-agent/virtual-board/run_board.h"

#include <cstdlib>
#include <functional>
#include <linux/close_range.h>
#include <span>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "device-agent/virtual-board/board.h"
#include "device-agent/virtual-board/board_recovery.h"
#include "device-agent/virtual-board/options.h"
#include "sphere/core/clock.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"

namespace sphere::virtual_board {

namespace {

// Whoever started us reads one line from this descriptor. It is gone once the line is written,
// unless it is a standard stream.
void tell(int descriptor, std::string_view line) {
  const auto text = fmt::format("{}\n", line);
  [[maybe_unused]] const auto told =
      write_all(descriptor, std::as_bytes(std::span{text}), "ready descriptor");
  if (descriptor > STDERR_FILENO) {
    ::close(descriptor);
  }
}

Result<void> recover_and_run(const Options& options, const std::function<void()>& ready) {
  const SystemClock clock;
  SPHERE_TRY_ASSIGN(const auto end, recover_if_broken(options.directory, clock, ready));
  if (end == RecoveryEnd::stopped) {
    return {};
  }
  SPHERE_TRY_ASSIGN(const auto board, Board::create(options, clock));
  return board->run(ready);
}

}  // namespace

int run_board(const Options& options) {
  ::umask(S_IRWXG | S_IRWXO);
  // Nothing of the starter's reaches sphered.
  ::close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
  bool told = false;
  const auto ended = recover_and_run(options, [&] {
    if (!std::exchange(told, true)) {
      tell(options.ready_fd, "ready");
    }
  });
  if (!ended && !told) {
    tell(options.ready_fd, fmt::format("error: {}", ended.error().message()));
  }
  return ended ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace sphere::virtual_board
