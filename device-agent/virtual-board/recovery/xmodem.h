// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "device-agent/virtual-board/recovery/device_side.h"
#include "device-agent/virtual-board/recovery/flash.h"
#include "device-agent/virtual-board/recovery/needed_range.h"
#include "sphere/recovery/xmodem.h"

namespace sphere::virtual_board {

struct XmodemBoard {
  std::string banner = {};  // Said in front of the first `C`.
  std::uint64_t size = 0;   // Of the file, which the board knows; 0: as much as flash has room for.
  std::uint32_t naks = 0;   // The first block is refused so many times.
  std::vector<NeededRange> needed = {};
};

// A loader that takes one file by XMODEM. It says "+GOOD" and starts the file when that has the
// announced size and the hashes that it needs, else "-BAD".
class XmodemDevice final : public DeviceSide {
 public:
  XmodemDevice(XmodemBoard board, Flash flash);

  void take(const device::Input& input, device::Time now, device::Actions& actions) override;
  [[nodiscard]] Flash& flash() override { return flash_; }
  [[nodiscard]] bool is_complete() const override;

 private:
  void restart(device::Time now, device::Actions& actions);
  void finish(device::Actions& actions);

  XmodemBoard board_;
  Flash flash_;
  std::optional<recovery::xmodem::Receiver> receiver_;
  std::size_t stored_ = 0;
};

}  // namespace sphere::virtual_board
