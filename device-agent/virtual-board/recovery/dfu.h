// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "device-agent/virtual-board/recovery/device_side.h"
#include "device-agent/virtual-board/recovery/flash.h"
#include "device-agent/virtual-board/recovery/needed_range.h"

namespace sphere::virtual_board {

struct DfuBoard {
  bool dfuse = false;  // ST's extension, version 011A; else 1.1, version 0110.
  bool can_upload = true;
  bool tolerant = true;     // Answers on after it has taken a file over.
  bool is_running = false;  // Begins in its firmware and waits for DETACH.
  std::uint16_t transfer_size = 1024;
  std::uint16_t vendor = 0x0483;
  std::uint16_t product = 0xDF11;
  std::uint32_t flash_address = 0x08000000;  // DfuSe only.
  recovery::Time write_time = {};            // Of a block.
  recovery::Time erase_time = {};            // Of a page, and of all.
  recovery::Time manifest_time = {};
  std::vector<NeededRange> needed = {};
};

// A board in DFU mode. The protocol is described in libsdk's client; the states and what each
// accepts are those of DFU 1.1, appendix A: another request stalls and leads to the state of error,
// also a GETSTATUS before the time that the board named is over. Plain DFU erases as it writes from
// the front; with DfuSe a page must be erased before.
class DfuDevice final : public DeviceSide {
 public:
  DfuDevice(DfuBoard board, Flash flash);

  void take(const device::Input& input, device::Time now, device::Actions& actions) override;
  [[nodiscard]] Flash& flash() override { return flash_; }
  [[nodiscard]] bool is_complete() const override;

  // The functional descriptor, and the text of the alternate setting.
  [[nodiscard]] std::vector<std::byte> descriptor() const;
  [[nodiscard]] std::string memory_text() const;

 private:
  enum class State : std::uint8_t {
    app_idle,
    app_detach,
    idle,
    download_sync,
    download_busy,
    download_idle,
    manifest_sync,
    manifest,
    manifest_wait_reset,
    upload_idle,
    error,
  };

  void take_request(const device::ControlRequest& request);
  void download(const device::ControlRequest& request);
  void upload(const device::ControlRequest& request);
  void get_status(recovery::Tag tag);
  void begin_work(device::Time time, State busy);
  void finish_work();
  [[nodiscard]] std::uint8_t run_block();
  [[nodiscard]] std::uint8_t run_command();
  [[nodiscard]] std::uint8_t write(std::size_t offset, bool erases);
  [[nodiscard]] std::size_t se_offset(std::uint32_t address) const;
  void answer(recovery::Tag tag, std::vector<std::byte> bytes);
  void stall(recovery::Tag tag, std::uint8_t status);
  void leave();

  DfuBoard board_;
  Flash flash_;
  State state_ = State::idle;
  std::uint8_t status_ = 0;
  bool gone_ = false;
  std::uint16_t block_ = 0;
  std::vector<std::byte> data_;
  std::size_t offset_ = 0;     // Plain DFU: of the next block.
  std::size_t erased_to_ = 0;  // Plain DFU: what this download has erased.
  std::uint32_t pointer_ = 0;  // DfuSe.
  bool leaves_ = false;        // DfuSe: an empty block was taken.
  device::Time ready_at_ = {};
  device::Actions* actions_ = nullptr;  // Of the take() that runs.
  device::Time now_ = {};
};

}  // namespace sphere::virtual_board
