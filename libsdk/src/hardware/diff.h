// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>

namespace sphere::hardware {

// The unified diff (three lines of context) that turns `before` into `after`; "" when they are
// equal. Texts whose middle parts are large and different throughout give one block.
[[nodiscard]] std::string unified_diff(std::string_view before, std::string_view after,
                                       std::string_view before_name, std::string_view after_name);

}  // namespace sphere::hardware
