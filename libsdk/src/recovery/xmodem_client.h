// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "sphere/core/result.h"
#include "sphere/recovery/driver.h"

namespace sphere::recovery {

// Client of a loader that takes one file by XMODEM (sphere/recovery/xmodem.h) on a UART and starts
// it. The last acknowledgement says only that the bytes arrived: a loader that checks the file says
// so with a line, which is waited for when it is known.
//
// Limits: 60 s for the first `C`, those of XMODEM for each block, 10 s for the line.
struct XmodemPlan {
  std::string file;
  std::uint64_t size = 0;
  std::uint32_t baud = 115200;
  bool large_blocks = false;
  std::string answer = {};  // "+GOOD". Empty: there is none.
};

// Errors: invalid_argument (no bytes).
[[nodiscard]] Result<std::unique_ptr<Driver>> make_xmodem(XmodemPlan plan);

}  // namespace sphere::recovery
