// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "device-agent/virtual-board/ft4232h.h"
#include "device-agent/virtual-board/recovery/device_side.h"
#include "device-agent/virtual-board/recovery/faults.h"

namespace sphere::test {

// A virtual board at the recovery port of an FT4232H model: bytes at the baud rate that was set,
// reset and strap as its pins drive them. For one thread.
class RecoveryPort {
 public:
  struct Config {
    virtual_board::DeviceSide* board = nullptr;
    std::vector<virtual_board::Fault> faults = {};
    std::uint32_t seed = 1;
    unsigned wrong_straps = 0;  // So many resets at first do not see the strap.
  };
  explicit RecoveryPort(Config config);

  using Time = virtual_board::device::Time;
  // Does what is due. A value: the board is pulled out now, and comes back after that time; the
  // largest: never.
  [[nodiscard]] std::optional<Time> move(virtual_board::Ft4232h& chip, Time now);
  // It is plugged in again, without power so far.
  void plug_in() {
    is_on_ = false;
    seen_lines_ = 1;
  }

  [[nodiscard]] unsigned resets() const { return resets_; }
  [[nodiscard]] unsigned boots() const { return boots_; }

 private:
  void follow_lines(virtual_board::Ft4232h& chip, Time now);
  void give(const virtual_board::device::Input& input, virtual_board::Ft4232h& chip, Time now);
  void send(std::vector<std::byte> bytes, virtual_board::Ft4232h& chip);
  [[nodiscard]] bool hears(const virtual_board::Ft4232h& chip) const;

  Config config_;
  virtual_board::WireFaults faults_;
  bool is_on_ = false;
  std::size_t seen_lines_ = 1;
  std::uint32_t baud_ = 115200;
  std::optional<Time> deadline_;
  std::optional<Time> unplugged_;
  unsigned resets_ = 0;
  unsigned boots_ = 0;
};

}  // namespace sphere::test
