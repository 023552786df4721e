// SPDX-License-Identifier: MIT
#include "tests/support/recovery/boards.h"

#include <array>
#include <cstddef>
#include <memory>
#include <string_view>

#include "device-agent/virtual-board/recovery/device_side.h"
#include "device-agent/virtual-board/recovery/dfu.h"
#include "device-agent/virtual-board/recovery/edl.h"
#include "device-agent/virtual-board/recovery/esp.h"
#include "device-agent/virtual-board/recovery/fastboot.h"
#include "device-agent/virtual-board/recovery/flash.h"
#include "device-agent/virtual-board/recovery/sdp.h"
#include "device-agent/virtual-board/recovery/stm32.h"
#include "device-agent/virtual-board/recovery/xmodem.h"

namespace sphere::test {

namespace {

using namespace virtual_board;

constexpr std::size_t kSector = 4096;

std::unique_ptr<DeviceSide> fastboot(bool tcp) {
  return std::make_unique<FastbootDevice>(
      FastbootBoard{.tcp = tcp,
                    .partitions = {{.name = "boot", .offset = 0, .size = kBootSize},
                                   {.name = "system", .offset = kBootSize, .size = kSystemSize}},
                    .max_download = 3U << 20U,
                    .hash_command = true},
      Flash{kBootSize + kSystemSize, kSector});
}

// A medium-density STM32F1: 128 pages of 1 KiB. stm32flash knows it by its id.
std::unique_ptr<DeviceSide> stm32() {
  return std::make_unique<Stm32Device>(Stm32Board{.extended_erase = false},
                                       Flash{kStm32Pages * kStm32Page, kStm32Page});
}

std::unique_ptr<DeviceSide> dfu(bool dfuse) {
  return std::make_unique<DfuDevice>(DfuBoard{.dfuse = dfuse},
                                     Flash{kDfuPages * kDfuPage, kDfuPage});
}

// An ESP32-C3 that refuses one block of each image once.
std::unique_ptr<DeviceSide> esp() {
  return std::make_unique<EspDevice>(EspBoard{.needed = {}, .nak_block = 1, .naks = 1},
                                     Flash{kEspSize, kSector});
}

// An i.MX6ULL with 16 MiB of RAM. By USB or UART.
std::unique_ptr<DeviceSide> sdp(bool uart) {
  return std::make_unique<SdpDevice>(
      SdpBoard{.memory_address = kSdpMemory, .uart = uart, .needed = {}},
      Flash{kSdpMemorySize, kSector});
}

// A Qualcomm chip with 16 MiB of eMMC.
std::unique_ptr<DeviceSide> edl() {
  constexpr std::size_t kBlock = 512;
  return std::make_unique<EdlDevice>(EdlBoard{.needed = {}}, Flash{kEdlSize, kBlock});
}

// A loader that knows the size of its file, and refuses the first block once.
std::unique_ptr<DeviceSide> xmodem(bool banner) {
  return std::make_unique<XmodemDevice>(
      XmodemBoard{.banner = banner ? "RECOVERY\r\n0000362000008A01020A00008FC8C833\r\n" : "",
                  .size = kXmodemFile,
                  .naks = banner ? 0U : 1U,
                  .needed = {}},
      Flash{16 * kSector, kSector});
}

struct Row {
  std::string_view name;
  BoardWire wire;
  std::unique_ptr<DeviceSide> (*make)();
};

constexpr std::array kRows = {
    Row{"fastboot-tcp", BoardWire::tcp, [] { return fastboot(true); }},
    Row{"stm32", BoardWire::pty, stm32},
    Row{"esp", BoardWire::tcp, esp},
    Row{"xmodem", BoardWire::pty, [] { return xmodem(false); }},
    Row{"xmodem-banner", BoardWire::pty, [] { return xmodem(true); }},
    Row{"edl", BoardWire::usb, edl},
    Row{"sdp", BoardWire::usb, [] { return sdp(false); }},
    Row{"sdp-uart", BoardWire::pty, [] { return sdp(true); }},
    Row{"dfu", BoardWire::usb, [] { return dfu(false); }},
    Row{"dfuse", BoardWire::usb, [] { return dfu(true); }},
    Row{"fastboot-usb", BoardWire::usb, [] { return fastboot(false); }},
};

}  // namespace

TestBoard make_board(std::string_view protocol) {
  for (const Row& row : kRows) {
    if (row.name == protocol) {
      return {.wire = row.wire, .device = row.make()};
    }
  }
  return {};
}

}  // namespace sphere::test
