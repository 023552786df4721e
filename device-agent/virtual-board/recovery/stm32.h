// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "device-agent/virtual-board/recovery/device_side.h"
#include "device-agent/virtual-board/recovery/flash.h"
#include "device-agent/virtual-board/recovery/needed_range.h"

namespace sphere::virtual_board {

struct Stm32Board {
  std::uint16_t id = 0x0410;
  std::uint32_t flash_address = 0x08000000;
  bool extended_erase = true;  // Knows 44, else 43.
  bool read_protected = false;
  recovery::Time erase_time = {};
  std::vector<NeededRange> needed = {};
};

// The boot ROM of STM32 chips on a UART (ST application note AN3155), as libsdk's client describes
// it: Get, Get Version, Get ID, Read, Go, Write, Erase of either kind, the four protections. A page
// is a sector of the flash. As in silicon a command without its complement, a wrong check sum, an
// address outside flash, and writing to what is not erased are answered by NACK, and nothing but
// bytes ends a message.
class Stm32Device final : public DeviceSide {
 public:
  Stm32Device(Stm32Board board, Flash flash);

  void take(const device::Input& input, device::Time now, device::Actions& actions) override;
  [[nodiscard]] Flash& flash() override { return flash_; }
  [[nodiscard]] bool is_complete() const override;

 private:
  enum class State : std::uint8_t { off, sync, command, address, size, data, pages, busy, booted };

  void take_byte(std::byte byte);
  void take_command();
  void begin_command(std::uint8_t command);
  void take_address();
  void take_read_size();
  void take_data();
  void take_pages();
  [[nodiscard]] bool erase_pages(std::span<const std::byte> pages, std::size_t width);
  void report_commands();
  void remove_read_protection();
  void finish_erase(bool good);
  void expect(State state, std::size_t count);
  void answer(bool good);
  void send(std::vector<std::byte> bytes);
  void restart();

  Stm32Board board_;
  Flash flash_;
  State state_ = State::off;
  std::uint8_t command_ = 0;
  std::uint32_t address_ = 0;
  std::vector<std::byte> bytes_;  // Of the message that is coming in.
  std::size_t wanted_ = 0;
  bool erased_well_ = false;
  bool restarts_ = false;               // After what is going on.
  device::Actions* actions_ = nullptr;  // Of the take() that runs.
  device::Time now_ = {};
};

}  // namespace sphere::virtual_board
