// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sphere/core/result.h"

namespace sphere::virtual_board {

// The GPIO lines of the chip on board `board_id`, in rising order. The id is written with - or _.
// Errors: not_found with the known ids.
[[nodiscard]] Result<std::vector<int>> gpio_lines(std::string_view board_id);

}  // namespace sphere::virtual_board
