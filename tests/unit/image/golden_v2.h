// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>

#include "tests/unit/image/golden.h"

namespace sphere::test {

// The metadata block of the golden package v2.
[[nodiscard]] Bytes golden_v2_metadata();

inline constexpr std::string_view kGoldenImageV2 = "4e57f698-6aaf-8217-a36c-ee124fac838b";

}  // namespace sphere::test
