// SPDX-License-Identifier: MIT
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fcntl.h>
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
#include "device-agent/virtual-board/recovery/rom_server.h"
#include "sphere/core/clock.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"

namespace {

using sphere::virtual_board::Board;

// Whoever started us reads one line from this descriptor. It is gone once the line is written,
// unless it is a standard stream.
void tell(int descriptor, std::string_view line) {
  const auto text = fmt::format("{}\n", line);
  [[maybe_unused]] const auto told =
      sphere::write_all(descriptor, std::as_bytes(std::span{text}), "ready descriptor");
  if (descriptor > STDERR_FILENO) {
    ::close(descriptor);
  }
}

sphere::Result<void> run_board(const sphere::virtual_board::Options& options,
                               const sphere::Clock& clock, const std::function<void()>& ready) {
  SPHERE_TRY_ASSIGN(const auto board, Board::create(options, clock));
  return board->run(ready);
}

int run(std::span<const char* const> arguments) {
  if (!arguments.empty() && std::string_view{arguments.front()} == "rom") {
    return sphere::virtual_board::rom_command(arguments.subspan(1));
  }
  auto options = sphere::virtual_board::parse_options(arguments);
  if (!options) {
    fmt::print(stderr, "error: {}\nnext:  {}\n", options.error().message(),
               options.error().hint().next);
    return 2;
  }
  if (options->help) {
    fmt::print("{}", sphere::virtual_board::kUsage);
    return EXIT_SUCCESS;
  }
  ::umask(S_IRWXG | S_IRWXO);
  // Nothing of the starter's reaches sphered.
  ::close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
  const sphere::SystemClock clock;
  bool told = false;
  const auto ready = [&] {
    if (!std::exchange(told, true)) {
      tell(options->ready_fd, "ready");
    }
  };
  auto ended = sphere::virtual_board::recover_if_broken(options->directory, clock, ready);
  if (ended && *ended == sphere::virtual_board::RecoveryEnd::stopped) {
    return EXIT_SUCCESS;
  }
  auto ran = ended ? run_board(*options, clock, ready)
                   : sphere::Result<void>{tl::make_unexpected(std::move(ended).error())};
  if (!ran && !told) {
    tell(options->ready_fd, fmt::format("error: {}", ran.error().message()));
  }
  return ran ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace

int main(int argc, char* argv[]) {
  try {
    return run(std::span{argv, static_cast<std::size_t>(argc)}.subspan(argc > 0 ? 1 : 0));
  } catch (const std::exception& exception) {
    static_cast<void>(std::fputs(exception.what(), stderr));
    return EXIT_FAILURE;
  }
}
