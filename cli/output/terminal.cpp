// SPDX-License-Identifier: MIT
#include "cli/output/terminal.h"

#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <fcntl.h>
#include <string_view>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/environment/variables.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"

namespace sphere::cli {
namespace {

constexpr std::size_t kDefaultWidth = 80;

}  // namespace

void keep_standard_descriptors() {
  for (int number = 0; number <= 2; ++number) {
    if (::fcntl(number, F_GETFD) == -1 && errno == EBADF) {
      // The lowest free number is this one. Read-only, so that writing says so.
      static_cast<void>(::open("/dev/null", O_RDONLY));  // NOLINT(*-vararg): POSIX
    }
  }
}

bool is_terminal(int descriptor) { return ::isatty(descriptor) == 1; }

std::size_t terminal_width(int descriptor) {
  const auto columns = variable("COLUMNS").value_or("");
  std::size_t width = 0;
  std::from_chars(columns.data(), columns.data() + columns.size(), width);
  if (width > 0) {
    return width;
  }
  winsize size = {};
  if (::ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    return size.ws_col;
  }
  return kDefaultWidth;
}

bool use_color(int descriptor, ColorChoice choice) {
  if (choice == ColorChoice::never || !variable("NO_COLOR").value_or("").empty()) {
    return false;
  }
  const auto forced = variable("CLICOLOR_FORCE").value_or("");
  if (choice == ColorChoice::always || (!forced.empty() && forced != "0")) {
    return true;
  }
  return is_terminal(descriptor) && variable("TERM").value_or("") != "dumb";
}

Result<void> write_standard_output(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(STDOUT_FILENO, text.data(), text.size());
    if (written >= 0) {
      text.remove_prefix(static_cast<std::size_t>(written));
      continue;
    }
    if (errno == EPIPE) {
      std::signal(SIGPIPE, SIG_DFL);  // NOLINT(cert-err33-c): nothing to do about a failure
      std::raise(SIGPIPE);            // NOLINT(cert-err33-c): ends the program
    }
    if (errno != EINTR) {
      return tl::make_unexpected(system_error("write", "standard output", errno));
    }
  }
  return {};
}

}  // namespace sphere::cli
