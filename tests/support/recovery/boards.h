// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "device-agent/virtual-board/recovery/device_side.h"

namespace sphere::test {

// The boards of the tests with real tools.
enum class BoardWire : std::uint8_t { tcp, pty, usb };
struct TestBoard {
  BoardWire wire = BoardWire::tcp;
  std::unique_ptr<virtual_board::DeviceSide> device;  // Null: no such protocol.
};
[[nodiscard]] TestBoard make_board(std::string_view protocol);

// Of the fastboot board: partitions boot (1 MiB) and system (16 MiB), one behind the other.
inline constexpr std::size_t kBootSize = 1U << 20U;
inline constexpr std::size_t kSystemSize = 16U << 20U;
inline constexpr std::size_t kDfuPage = 2048;
inline constexpr std::size_t kDfuPages = 64;
inline constexpr std::size_t kStm32Page = 1024;
inline constexpr std::size_t kStm32Pages = 128;
inline constexpr std::size_t kEspSize = 1U << 20U;
inline constexpr std::size_t kXmodemFile = 20'000;
inline constexpr std::size_t kEdlSize = 16U << 20U;
inline constexpr std::uint32_t kSdpMemory = 0x80000000;
inline constexpr std::size_t kSdpMemorySize = 16U << 20U;

}  // namespace sphere::test
