// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "device-agent/virtual-board/recovery/device_side.h"
#include "device-agent/virtual-board/recovery/flash.h"
#include "device-agent/virtual-board/recovery/needed_range.h"

namespace sphere::virtual_board {

struct SdpBoard {
  std::uint32_t memory_address = 0x80000000;  // Of the RAM, which is what flash() shows.
  bool uart = false;                          // Else HID.
  bool closed = false;                        // Starts only what `needed` names.
  bool skips_dcd = true;
  std::vector<NeededRange> needed = {};

  // --- Faults. ---
  bool hides_state = false;  // No report 3.
  bool reversed = false;     // The answer to "skip DCD" in the other byte order.
  bool is_mute = false;      // No answer behind data.
};

// The ROM of an i.MX chip in serial download mode, as libsdk's client describes it: reading and
// writing of registers and RAM, files, DCD, skipping it, jump. It starts only where an image vector
// table stands that names its own address, and a closed one only what the owner's hashes name. What
// it does not take it answers with a word of the HAB. A DCD is checked by its tag and not carried
// out. Addresses in front of and behind the RAM are refused for data and read as zero.
class SdpDevice final : public DeviceSide {
 public:
  SdpDevice(SdpBoard board, Flash memory);

  void take(const device::Input& input, device::Time now, device::Actions& actions) override;
  [[nodiscard]] Flash& flash() override { return memory_; }
  [[nodiscard]] bool is_complete() const override { return holds(memory_, board_.needed); }

  // The HID report descriptor, and the last DCD that was written.
  [[nodiscard]] static std::vector<std::byte> report_descriptor();
  [[nodiscard]] std::span<const std::byte> dcd() const { return dcd_; }

 private:
  enum class State : std::uint8_t { off, greeting, command, data, booted };
  using Word = std::array<std::byte, 4>;

  void take_bytes(std::span<const std::byte> bytes);
  void take_command(std::span<const std::byte> bytes);
  void take_data(std::span<const std::byte> bytes);
  void finish_data();
  void read_memory();
  void write_register();
  void jump();
  [[nodiscard]] Word why_not_start() const;
  [[nodiscard]] bool is_memory(std::uint32_t address, std::size_t size) const;
  void say_state();
  void answer(const Word& word);
  void send(std::uint8_t report, std::span<const std::byte> bytes, std::size_t size);

  SdpBoard board_;
  Flash memory_;
  State state_ = State::off;
  std::vector<std::byte> in_;  // UART only.
  std::uint16_t code_ = 0;
  std::uint32_t address_ = 0;
  std::uint32_t count_ = 0;
  std::uint32_t value_ = 0;
  std::uint8_t format_ = 0;
  std::size_t taken_ = 0;
  std::vector<std::byte> dcd_;
  Word last_ = {};
  device::Actions* actions_ = nullptr;  // Of the take() that runs.
};

}  // namespace sphere::virtual_board
