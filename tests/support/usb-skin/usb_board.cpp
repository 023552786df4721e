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
#include "device-agent/virtual-board/recovery/sdp.h"
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

test::UsbIdentity hid_identity(std::uint16_t product, std::vector<std::byte> reports) {
  const auto size = static_cast<unsigned>(reports.size());
  return {.vendor = 0x15A2,
          .product = product,
          .configuration = bytes({9,          4,    0,    0, 1,  3, 0,    0,
                                  4,  //
                                  9,          0x21, 0x10, 1, 0,  1, 0x22, size & 0xFFU,
                                  size >> 8U,  //
                                  7,          5,    0x81, 3, 64, 0, 1}),
          .strings = {"Sphere", "virtual board", "", "HID"},
          .report_descriptor = std::move(reports)};
}

test::UsbIdentity edl_identity() {
  return {.vendor = 0x05C6,
          .product = 0x9008,
          .configuration = bytes({9, 4, 0,    0, 2, 0xFF, 0xFF, 0xFF, 4,  //
                                  7, 5, 0x81, 2, 0, 2,    0,              //
                                  7, 5, 0x01, 2, 0, 2,    0}),
          .strings = {"Sphere", "QUSB__BULK_SN:01234567", "", "EDL"}};
}

test::UsbIdentity identity_of(std::string_view protocol, const virtual_board::DeviceSide& device) {
  if (const auto* const dfu = dynamic_cast<const virtual_board::DfuDevice*>(&device)) {
    return dfu_identity(*dfu);
  }
  if (protocol == "sdp") {
    return hid_identity(0x0080, virtual_board::SdpDevice::report_descriptor());
  }
  return protocol == "edl" ? edl_identity() : fastboot_identity();
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
  test::BoardUsb usb{*board.device, identity_of(arguments[1], *board.device)};
  const int status = run(&argv[3]);
  fmt::print("boots {}\n", usb.boots());
  return write_file(arguments[2], board.device->flash().bytes()) ? status : 2;
}
