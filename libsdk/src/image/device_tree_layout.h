// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>

// Numbers of the flattened device tree (Devicetree Specification 0.4, chapter 5).
namespace sphere::image {

inline constexpr std::uint32_t kDeviceTreeMagic = 0xD00DFEED;
inline constexpr std::uint32_t kOldestVersion = 16;
inline constexpr std::uint32_t kNewestVersion = 17;
inline constexpr std::size_t kDeviceTreeHeader = 40;
inline constexpr std::size_t kDeviceTreeHeader16 = 36;  // Of version 16.
inline constexpr std::size_t kReservation = 16;
inline constexpr std::size_t kDeviceTreeWord = 4;

inline constexpr std::uint32_t kBeginNode = 1;
inline constexpr std::uint32_t kEndNode = 2;
inline constexpr std::uint32_t kProperty = 3;
inline constexpr std::uint32_t kNothing = 4;
inline constexpr std::uint32_t kEnd = 9;

}  // namespace sphere::image
