// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>

namespace sphere::agent {

inline constexpr std::string_view kAgentVersion = "0.1.0";
inline constexpr std::string_view kOsVersion = "26.11";  // YY.MM of the device OS.

}  // namespace sphere::agent
