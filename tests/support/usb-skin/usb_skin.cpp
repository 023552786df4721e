// SPDX-License-Identifier: MIT
// usb_skin SOCKET COMMAND [ARGUMENT...]: runs COMMAND with the board at a Unix socket (its service
// UART) as a USB device. Must itself run below umockdev-wrapper. Its exit status is COMMAND's. To
// the file that USB_SKIN_LINES names it writes the states of the control lines that there were, one
// a line.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>

#include "device-agent/virtual-board/ft4232h.h"
#include "sphere/core/descriptor.h"
#include "tests/support/usb-skin/fake_usb.h"

namespace {

sphere::Descriptor connect_to(std::string_view path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  path.copy(static_cast<char*>(address.sun_path), sizeof(address.sun_path) - 1);
  sphere::Descriptor socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  // NOLINTNEXTLINE(*-reinterpret-cast): the interface of sockets
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return {};
  }
  return socket;
}

void write_lines(sphere::test::FakeUsb& usb, const char* file) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> out{std::fopen(file, "we"), &std::fclose};
  if (out == nullptr) {
    std::perror(file);
    return;
  }
  usb.with_chip([&out](const sphere::virtual_board::Ft4232h& chip) {
    for (const auto& lines : chip.lines()) {
      fmt::print(out.get(), "{}{}\n", lines.reset ? "reset" : "run",
                 lines.recovery ? " recovery" : "");
    }
  });
}

}  // namespace

int main(int argc, char* argv[]) {
  const std::span arguments{argv, static_cast<std::size_t>(argc)};
  if (arguments.size() < 3) {
    static_cast<void>(std::fputs("usage: usb_skin SOCKET COMMAND [ARGUMENT...]\n", stderr));
    return 2;
  }
  auto service = connect_to(arguments[1]);
  if (!service) {
    std::perror(arguments[1]);
    return 2;
  }
  sphere::test::FakeUsb usb;
  usb.connect_service(std::move(service));
  const pid_t child = ::fork();
  if (child == 0) {
    ::execvp(arguments[2], &argv[2]);
    std::perror(arguments[2]);
    ::_exit(2);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  if (const char* const file = std::getenv("USB_SKIN_LINES")) {  // NOLINT(concurrency-mt-unsafe)
    write_lines(usb, file);
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
}
