// SPDX-License-Identifier: MIT
#pragma once

#include <functional>

#include "device-agent/virtual-board/recovery/device_side.h"
#include "sphere/transport/byte_stream.h"

namespace sphere::test {

// Lets a device side talk over a stream in real time until the other end goes away, `stop` says so,
// or, with `ends_at_boot`, the board boots and its last answer is taken. Begins with PowerOn.
struct StreamBoard {
  virtual_board::DeviceSide* device = nullptr;
  transport::ByteStream* stream = nullptr;
  bool ends_at_boot = false;
  std::function<bool()> stop = [] { return false; };

  // Returns whether the board booted.
  bool run();
};

}  // namespace sphere::test
