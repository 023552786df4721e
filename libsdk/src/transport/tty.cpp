// SPDX-License-Identifier: MIT
#include <asm/termbits.h>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <fcntl.h>
#include <filesystem>
#include <linux/serial.h>
#include <memory>
#include <string>
#include <string_view>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <utility>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "libsdk/src/transport/descriptor_stream.h"
#include "libsdk/src/transport/holder.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/transport/byte_stream.h"
#include "sphere/transport/place.h"

namespace sphere::transport {

namespace {

// A serial device of the kernel: a UART, an FTDI port behind ftdi_sio, or a pty.
class Tty final : public DescriptorStream, public SerialPort {
 public:
  using DescriptorStream::DescriptorStream;

  [[nodiscard]] SerialPort* serial() override { return this; }
  [[nodiscard]] Result<void> configure(const LineSettings& settings) override;
  [[nodiscard]] Result<void> purge_input() override;
  [[nodiscard]] Result<void> set_lines(bool dtr, bool rts) override;
  [[nodiscard]] Result<LineStatus> status() override;

 private:
  [[nodiscard]] tl::unexpected<Error> failed(std::string_view action) const {
    return tl::make_unexpected(system_error(action, name(), errno));
  }
  [[nodiscard]] tl::unexpected<Error> without(std::string_view what) const {
    return fail(Errc::unsupported, fmt::format("{} has no {}", name(), what),
                {.reason = "link.no-answer", .value = name()});
  }
};

Result<void> Tty::configure(const LineSettings& settings) {
  termios2 state = {};
  if (::ioctl(descriptor(), TCGETS2, &state) != 0) {
    return failed("configure");
  }
  state.c_iflag = 0;
  state.c_oflag = 0;
  state.c_lflag = 0;
  state.c_cflag = CS8 | CREAD | CLOCAL | BOTHER;
  state.c_cflag |= settings.flow == FlowControl::rts_cts ? CRTSCTS : 0;
  state.c_cflag |= settings.parity == Parity::none ? 0 : PARENB;
  state.c_cflag |= settings.parity == Parity::odd ? PARODD : 0;
  state.c_ispeed = settings.baud;
  state.c_ospeed = settings.baud;
  state.c_cc[VMIN] = 1;  // With O_NONBLOCK "nothing yet" is EAGAIN, and 0 bytes are a hang-up.
  state.c_cc[VTIME] = 0;
  if (::ioctl(descriptor(), TCSETS2, &state) != 0 || ::ioctl(descriptor(), TCGETS2, &state) != 0) {
    return failed("configure");
  }
  if (settings.parity != Parity::none && (state.c_cflag & PARENB) == 0) {
    return without("parity");
  }
  serial_struct serial = {};
  if (::ioctl(descriptor(), TIOCGSERIAL, &serial) == 0) {
    serial.flags |= ASYNC_LOW_LATENCY;
    ::ioctl(descriptor(), TIOCSSERIAL, &serial);  // Slower without it, but not wrong.
  }
  return {};
}

Result<void> Tty::purge_input() {
  return ::ioctl(descriptor(), TCFLSH, TCIFLUSH) == 0 ? Result<void>{} : failed("purge");
}

Result<void> Tty::set_lines(bool dtr, bool rts) {
  int lines = (dtr ? TIOCM_DTR : 0) | (rts ? TIOCM_RTS : 0);
  return ::ioctl(descriptor(), TIOCMSET, &lines) == 0 ? Result<void>{} : without("control lines");
}

Result<LineStatus> Tty::status() {
  int lines = 0;
  if (::ioctl(descriptor(), TIOCMGET, &lines) != 0) {
    return without("control lines");
  }
  LineStatus status{.cts = (lines & TIOCM_CTS) != 0,
                    .dsr = (lines & TIOCM_DSR) != 0,
                    .ring = (lines & TIOCM_RI) != 0,
                    .carrier = (lines & TIOCM_CAR) != 0};
  int queued = 0;
  status.drained = ::ioctl(descriptor(), TIOCOUTQ, &queued) != 0 || queued == 0;
  serial_icounter_struct counters = {};
  if (::ioctl(descriptor(), TIOCGICOUNT, &counters) == 0) {
    status.overruns = static_cast<std::uint64_t>(counters.overrun);
    status.parity_errors = static_cast<std::uint64_t>(counters.parity);
    status.framing_errors = static_cast<std::uint64_t>(counters.frame);
  }
  return status;
}

Error cannot_open(const std::string& path, int number) {
  switch (number) {
    case ENOENT:
    case ENODEV:
    case ENXIO:
      return Error{Errc::not_found, fmt::format("there is no serial device {}", path),
                   Hint{.reason = "link.no-board",
                        .value = path,
                        .next = "plug the board in, or name another: sphere link list"}};
    case EACCES:
    case EPERM:
      return Error{Errc::permission, fmt::format("this user may not open {}", path),
                   Hint{.reason = "link.permission",
                        .value = path,
                        .next = "add yourself to the group of the device (ls -l shows it; dialout "
                                "on Debian), then log in again"}};
    case EBUSY:
    case EWOULDBLOCK: {
      const std::string holder = holder_of(path);
      return Error{Errc::busy, fmt::format("{} is in use by {}", path, holder),
                   Hint{.reason = "link.busy",
                        .value = holder,
                        .next = "end it, or share the board: sphere link serve"}};
    }
    default:
      return system_error("open", path, number);
  }
}

}  // namespace

Result<std::unique_ptr<ByteStream>> open_tty(const std::string& path,
                                             const LineSettings& settings) {
  Descriptor descriptor{::open(path.c_str(), O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC)};
  if (!descriptor) {
    return tl::make_unexpected(cannot_open(path, errno));
  }
  // TIOCEXCL does not stop root; the lock does not stop strangers.
  if (::flock(descriptor.get(), LOCK_EX | LOCK_NB) != 0) {
    return tl::make_unexpected(cannot_open(path, errno));
  }
  if (::ioctl(descriptor.get(), TIOCEXCL) != 0) {
    return fail(Errc::invalid_argument, fmt::format("{} is no serial device", path),
                {.reason = "usage.bad-value", .value = path, .next = "sphere link list"});
  }
  auto tty = std::make_unique<Tty>(std::move(descriptor), path);
  SPHERE_TRY(tty->configure(settings));
  static_cast<void>(tty->set_lines(true, true));  // A pty has none.
  SPHERE_TRY(tty->purge_input());
  return tty;
}

}  // namespace sphere::transport
