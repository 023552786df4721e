// SPDX-License-Identifier: MIT
// recovery_board PROTOCOL FLASH: a virtual board in its loader, for programs that are not ours.
// Prints "ready PLACE" (tcp:HOST:PORT or the path of a pty) and "boot" whenever the board boots. At
// SIGTERM it writes what flash holds to the file FLASH and prints "complete" or "incomplete".
#include <array>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <fcntl.h>
#include <memory>
#include <netinet/in.h>
#include <poll.h>
#include <span>
#include <string_view>
#include <sys/socket.h>
#include <termios.h>
#include <utility>

#include <fmt/format.h>

#include "device-agent/virtual-board/recovery/device_side.h"
#include "device-agent/virtual-board/recovery/flash.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/file.h"
#include "sphere/transport/byte_stream.h"
#include "tests/support/bound_port.h"
#include "tests/support/pty.h"
#include "tests/support/recovery/boards.h"
#include "tests/support/recovery/stream_board.h"

namespace {

using namespace sphere;

volatile std::sig_atomic_t stopped = 0;  // NOLINT(*-avoid-non-const-global-variables): a handler's

extern "C" void stop(int /*signal*/) { stopped = 1; }

void say(std::string_view text) {
  fmt::print("{}\n", text);
  static_cast<void>(std::fflush(stdout));
}

void serve(virtual_board::DeviceSide& device, int descriptor, bool ends_at_boot) {
  const auto stream = transport::make_descriptor_stream(descriptor, "board");
  test::StreamBoard board{
      .device = &device, .stream = stream.get(), .ends_at_boot = ends_at_boot, .stop = [] {
        return stopped != 0;
      }};
  if (board.run()) {
    say("boot");
  }
}

void serve_tcp(virtual_board::DeviceSide& device) {
  const Descriptor listener{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  void* const generic = &address;
  if (::bind(listener.get(), static_cast<sockaddr*>(generic), sizeof(address)) != 0 ||
      ::listen(listener.get(), 4) != 0) {
    return;
  }
  say(fmt::format("ready tcp:127.0.0.1:{}", test::bound_port(listener)));
  while (stopped == 0) {
    pollfd waiting = {.fd = listener.get(), .events = POLLIN, .revents = 0};
    if (::poll(&waiting, 1, 100) == 1) {
      serve(device, ::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC), true);
    }
  }
}

void serve_pty(virtual_board::DeviceSide& device) {
  test::Pty pty;
  // Open for as long as the board lives: programs come and go without hanging up.
  const Descriptor slave{::open(pty.slave.c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC)};
  termios raw = {};
  ::tcgetattr(slave.get(), &raw);
  ::cfmakeraw(&raw);
  ::tcsetattr(slave.get(), TCSANOW, &raw);
  say("ready " + pty.slave);
  serve(device, pty.master.release(), false);
}

}  // namespace

int main(int argc, char* argv[]) {
  const std::span arguments{argv, static_cast<std::size_t>(argc)};
  if (arguments.size() != 3) {
    fmt::print(stderr, "usage: recovery_board PROTOCOL FLASH\n");
    return 2;
  }
  const auto board = test::make_board(arguments[1]);
  if (!board.device) {
    fmt::print(stderr, "no protocol {}\n", arguments[1]);
    return 2;
  }
  std::signal(SIGTERM, stop);
  board.wire == test::BoardWire::tcp ? serve_tcp(*board.device) : serve_pty(*board.device);
  say(board.device->is_complete() ? "complete" : "incomplete");
  return write_file(arguments[2], board.device->flash().bytes()) ? 0 : 1;
}
