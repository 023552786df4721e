// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sphere/core/result.h"
#include "sphere/transport/byte_stream.h"

namespace sphere::transport {

// The USB interface of MT3620 boards: an FT4232H with four ports.
inline constexpr std::uint16_t kBoardVendor = 0x0403;
inline constexpr std::uint16_t kBoardProduct = 0x6011;
// What its EEPROM calls a board; any other 0403:6011 is an FT4232H of somebody else.
inline constexpr std::string_view kBoardProductText = "MSFT MT3620 Std Interface";

// Port of the FT4232H by USB interface number. Not yet tried on hardware.
enum class FtdiPort : std::uint8_t { debug = 0, swd = 1, service = 2, recovery = 3 };

enum class UsbAccess : std::uint8_t { allowed, denied };

// An FT4232H on the bus, as its descriptors and sysfs tell; nothing is opened.
struct UsbDevice {
  std::string location;  // "1-2.4.3": bus, then ports. Stays when a board is plugged in again.
  std::string product;
  std::string serial;  // Early boards all have the same.
  std::string node;    // /dev/bus/usb/BUS/DEVICE
  UsbAccess access = UsbAccess::allowed;
  bool is_board = false;  // By its product text.
};

// All FT4232H. Errors: io (libusb).
[[nodiscard]] Result<std::vector<UsbDevice>> list_usb();

// The udev rule that lets users open boards.
[[nodiscard]] std::string_view udev_rules();

// Opens one port as a UART. The kernel's driver is taken off that interface and comes back
// afterwards. Errors: not_found (link.no-board), permission (link.permission; tried for 2 s, since
// a device appears before its permission), busy (link.busy), io.
[[nodiscard]] Result<std::unique_ptr<ByteStream>> open_ftdi(const std::string& location,
                                                            FtdiPort port,
                                                            const LineSettings& settings);

// What the recovery port of a board says within `limit`, cleaned for a terminal: a board that waits
// for recovery sends `C` after `C`. Empty: it says nothing. Errors: as open_ftdi().
[[nodiscard]] Result<std::string> listen_for_recovery(const std::string& location,
                                                      std::chrono::milliseconds limit);

// One step of a sequence on the pins of the recovery port (bit-bang mode): after `wait`, the pins
// get `pins`. Bits: 0x01 TXD (idle is high), 0x10 LED, 0x20 RECOVERY strap, 0x40 SYSRST_N.
// Times and polarity are not yet tried on hardware.
struct LineStep {
  std::chrono::milliseconds wait;
  std::uint8_t pins;
};
inline constexpr std::uint8_t kLineOutputs = 0x71;

// A reset with the recovery strap, and without.
[[nodiscard]] std::span<const LineStep> recovery_lines();
[[nodiscard]] std::span<const LineStep> reset_lines();

// Runs a sequence and gives the pins back to the UART. Errors: as open_ftdi().
[[nodiscard]] Result<void> run_lines(const std::string& location, std::span<const LineStep> steps);

}  // namespace sphere::transport
