// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "device-agent/virtual-board/recovery/device_side.h"
#include "device-agent/virtual-board/recovery/flash.h"
#include "device-agent/virtual-board/recovery/needed_range.h"
#include "sphere/slip/codec.h"

namespace sphere::virtual_board {

struct EspBoard {
  std::uint32_t chip = 5;          // ESP32-C3. 0 is the first ESP32, 2 an ESP32-S2.
  bool is_stub = false;            // A stub runs instead of the ROM.
  bool is_lined = true;            // DTR and RTS reach the chip.
  recovery::Time erase_time = {};  // Of one flash begin.
  std::vector<NeededRange> needed = {};

  // --- Faults. ---
  unsigned lost_syncs = 0;      // The first ones are not heard.
  std::uint32_t nak_block = 0;  // This block of each image is refused so many times.
  unsigned naks = 0;
  bool lies_about_md5 = false;
};

// The boot ROM of an ESP32 chip, as libsdk's client describes it. RTS alone holds the chip in
// reset; when it lets go while DTR holds the strap, the ROM waits for a host, else the board boots.
// The ROM hears nothing before a sync, answers an unknown command eight times, and writes blocks
// only in their order, to flash that it has erased. Registers are 0 but for the one that names the
// chip. Nothing runs here: what would be loaded into RAM, and what is compressed, is refused.
class EspDevice final : public DeviceSide {
 public:
  EspDevice(EspBoard board, Flash flash);

  void take(const device::Input& input, device::Time now, device::Actions& actions) override;
  [[nodiscard]] Flash& flash() override { return flash_; }
  [[nodiscard]] bool is_complete() const override;

 private:
  enum class State : std::uint8_t { off, in_reset, waits, synced, erasing, booted };

  void restart(bool loader);
  void take_lines(const device::ModemLines& lines);
  void take_frame(std::span<const std::byte> frame);
  void run(std::uint8_t command, std::uint32_t sum, std::span<const std::byte> data);
  void sync();
  void read_register(std::span<const std::byte> data);
  void set_size(std::span<const std::byte> data);
  void flash_begin(std::span<const std::byte> data);
  void flash_data(std::uint32_t sum, std::span<const std::byte> data);
  void flash_end(std::span<const std::byte> data);
  void hash(std::span<const std::byte> data);
  void security();
  void unknown(std::uint8_t command);
  // `reason` 0: it went well.
  void answer(std::uint8_t command, std::uint8_t reason, std::uint32_t value = 0,
              std::span<const std::byte> data = {});
  void say(std::string_view text);

  EspBoard board_;
  Flash flash_;
  State state_ = State::off;
  slip::Decoder decoder_;
  bool attached_ = false;
  std::uint32_t size_ = 0;  // Of flash, as the host told.
  unsigned naks_left_ = 0;
  unsigned syncs_lost_ = 0;

  // Of the image that is being written.
  bool writing_ = false;
  bool erased_well_ = false;
  std::uint32_t offset_ = 0;
  std::uint32_t blocks_ = 0;
  std::uint32_t block_size_ = 0;
  std::uint32_t next_block_ = 0;

  device::Actions* actions_ = nullptr;  // Of the take() that runs.
  device::Time now_ = {};
};

}  // namespace sphere::virtual_board
