// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "device-agent/virtual-board/recovery/device_side.h"
#include "device-agent/virtual-board/recovery/rom_options.h"
#include "sphere/core/result.h"
#include "sphere/image/trust.h"

namespace sphere::virtual_board {

// A board that `sphere-board rom` plays.
struct RomBoard {
  std::string_view protocol;
  // Errors: invalid_argument for a fault that neither the wire nor this board has; those of files.
  Result<std::unique_ptr<DeviceSide>> (*make)(const RomOptions& options, image::TrustStore trust);
};

[[nodiscard]] std::span<const RomBoard> rom_boards();
// Null: there is none.
[[nodiscard]] const RomBoard* find_rom_board(std::string_view protocol);

}  // namespace sphere::virtual_board
