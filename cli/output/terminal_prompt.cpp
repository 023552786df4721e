// SPDX-License-Identifier: MIT
#include "cli/output/terminal_prompt.h"

#include <cerrno>
#include <cstddef>
#include <fcntl.h>
#include <span>
#include <string_view>
#include <termios.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "cli/environment/signals.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/crypto/encrypted_key.h"
#include "sphere/crypto/secret.h"

namespace sphere::cli {
namespace {

constexpr const char* kTerminal = "/dev/tty";

// The terminal without echo, as long as this lives. Signal keys work, so that Ctrl-C ends the wait.
class SilentTerminal {
 public:
  explicit SilentTerminal(int descriptor) : descriptor_{descriptor} {
    is_changed_ = ::tcgetattr(descriptor_, &before_) == 0;
    if (is_changed_) {
      termios silent = before_;
      silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
      silent.c_lflag |= static_cast<tcflag_t>(ECHONL);  // The line break shows.
      is_changed_ = ::tcsetattr(descriptor_, TCSAFLUSH, &silent) == 0;
    }
  }
  SilentTerminal(const SilentTerminal&) = delete;
  SilentTerminal& operator=(const SilentTerminal&) = delete;
  ~SilentTerminal() {
    if (is_changed_) {
      ::tcsetattr(descriptor_, TCSAFLUSH, &before_);
    }
  }
  [[nodiscard]] bool is_silent() const noexcept { return is_changed_; }

 private:
  int descriptor_;
  termios before_ = {};
  bool is_changed_ = false;
};

tl::unexpected<Error> cancelled() {
  return fail(Errc::cancelled, "no passphrase was given, nothing was changed",
              {.reason = "key.locked"});
}

}  // namespace

bool has_controlling_terminal() {
  return static_cast<bool>(Descriptor{::open(kTerminal, O_RDWR | O_CLOEXEC)});
}

Result<crypto::Secret> prompt_secret(std::string_view question) {
  const Descriptor terminal{::open(kTerminal, O_RDWR | O_CLOEXEC)};
  if (!terminal) {
    return tl::make_unexpected(system_error("open", kTerminal, errno));
  }
  const SilentTerminal silent{terminal.get()};
  if (!silent.is_silent()) {
    return tl::make_unexpected(system_error("switch off the echo of", kTerminal, errno));
  }
  SPHERE_TRY(write_all(terminal.get(), std::as_bytes(std::span{question}), kTerminal));
  crypto::Secret line{std::vector<std::byte>(crypto::kMaxPassphrase + 1)};
  std::size_t size = 0;
  while (true) {
    if (size == line.bytes().size()) {
      return fail(Errc::too_large,
                  fmt::format("a passphrase has at most {} bytes", crypto::kMaxPassphrase),
                  {.reason = "usage.bad-value"});
    }
    if (!wait_for_input(terminal.get()) ||
        ::read(terminal.get(), line.writable().data() + size, 1) != 1) {
      return cancelled();
    }
    if (line.bytes()[size] == std::byte{'\n'}) {
      break;
    }
    ++size;
  }
  line.shorten(size);
  return line;
}

}  // namespace sphere::cli
