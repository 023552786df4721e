// SPDX-License-Identifier: MIT
// usb_board PROTOCOL FLASH COMMAND [ARGUMENT...]: runs COMMAND with a virtual board as a USB
// device. Must itself run below umockdev-wrapper. Writes what flash holds to the file FLASH, from
// which it is taken when that exists, and prints "boots N". Its exit status is COMMAND's.
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string_view>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "device-agent/virtual-board/recovery/dfu.h"
#include "device-agent/virtual-board/recovery/flash.h"
#include "sphere/core/file.h"
#include "tests/support/recovery/boards.h"
#include "tests/support/usb-skin/board_usb.h"

namespace {

using namespace sphere;

std::vector<std::byte> bytes(std::initializer_list<unsigned> numbers) {
  std::vector<std::byte> result;
  for (const unsigned number : numbers) {
    result.push_back(static_cast<std::byte>(number));
  }
  return result;
}

test::UsbIdentity fastboot_identity() {
  return {.vendor = 0x18D1,
          .product = 0x0D02,
          .configuration = bytes({9, 4, 0,    0, 2, 0xFF, 0x42, 0x03, 4,  //
                                  7, 5, 0x81, 2, 0, 2,    0,              //
                                  7, 5, 0x01, 2, 0, 2,    0}),
          .strings = {"Sphere", "virtual board", "0123456789", "fastboot"}};
}

test::UsbIdentity dfu_identity(const virtual_board::DfuDevice& device) {
  test::UsbIdentity identity{
      .vendor = 0x0483,
      .product = 0xDF11,
      .configuration = bytes({9, 4, 0, 0, 0, 0xFE, 1, 2, 4}),
      .strings = {"Sphere", "virtual board", "0123456789", device.memory_text()}};
  const auto functional = device.descriptor();
  identity.configuration.insert(identity.configuration.end(), functional.begin(), functional.end());
  return identity;
}

int run(char* const* command) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::execvp(*command, command);
    std::perror(*command);
    ::_exit(2);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
}

}  // namespace

int main(int argc, char* argv[]) {
  const std::span arguments{argv, static_cast<std::size_t>(argc)};
  if (arguments.size() < 4) {
    fmt::print(stderr, "usage: usb_board PROTOCOL FLASH COMMAND [ARGUMENT...]\n");
    return 2;
  }
  const auto board = test::make_board(arguments[1]);
  if (!board.device || board.wire != test::BoardWire::usb) {
    fmt::print(stderr, "no USB protocol {}\n", arguments[1]);
    return 2;
  }
  if (const auto before = read_file(arguments[2], board.device->flash().size())) {
    board.device->flash().load(0, *before);
  }
  const auto* const dfu = dynamic_cast<const virtual_board::DfuDevice*>(board.device.get());
  test::BoardUsb usb{*board.device, dfu != nullptr ? dfu_identity(*dfu) : fastboot_identity()};
  const int status = run(&argv[3]);
  fmt::print("boots {}\n", usb.boots());
  return write_file(arguments[2], board.device->flash().bytes()) ? status : 2;
}
