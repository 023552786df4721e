// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace sphere::recovery {

// What a device says went wrong, by category and code: 39 is recovery itself, 27 the builder of the
// flash's tables. MT3620 boards, recovery v3 and the virtual boards share the numbers.
inline constexpr std::uint16_t kRecoveryCategory = 39;
inline constexpr std::uint16_t kTableCategory = 27;

struct DeviceError {
  std::uint16_t category = 0;
  std::uint16_t code = 0;
  std::string_view name;
  std::string_view text;
  std::string_view next;
};

// Codes that the programs use by name.
inline constexpr std::uint16_t kBadManifest = 1;
inline constexpr std::uint16_t kBadImage = 2;
inline constexpr std::uint16_t kBadSignature = 5;
inline constexpr std::uint16_t kBadImageFileSize = 8;
inline constexpr std::uint16_t kTooManyImages = 11;
inline constexpr std::uint16_t kServerResponseTimedOut = 50;
inline constexpr std::uint16_t kInvalidServerResponse = 51;
inline constexpr std::uint16_t kFlashWriteFailed = 101;
inline constexpr std::uint16_t kFlashEraseFailed = 103;
inline constexpr std::uint16_t kBadState = 105;
inline constexpr std::uint16_t kFileTransferFailed = 107;
inline constexpr std::uint16_t kDataHashingFailed = 109;
inline constexpr std::uint16_t kPartitionLayoutNotFound = 115;
inline constexpr std::uint16_t kImageNotFound = 150;
inline constexpr std::uint16_t kUnauthorizedAccess = 151;
inline constexpr std::uint16_t kUnknownServerError = 152;

[[nodiscard]] std::span<const DeviceError> device_errors();
// Null: not known.
[[nodiscard]] const DeviceError* find_device_error(std::uint16_t category, std::uint16_t code);

}  // namespace sphere::recovery
