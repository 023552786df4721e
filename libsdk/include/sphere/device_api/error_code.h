// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sphere::device_api {

// A number on the wire: (category << 20) | id. Categories 0 to 49 are those of the Azure Sphere
// device REST API; ours start at 512.
using ErrorCode = std::int32_t;

[[nodiscard]] constexpr ErrorCode make_code(std::uint32_t category, std::uint32_t id) {
  return static_cast<ErrorCode>((category << 20U) | id);
}

// One row of the table of known codes.
struct ErrorInfo {
  ErrorCode code;
  std::string_view name;      // "RestAppError::AppNotPresent"
  std::string_view sentence;  // What it means, without a final stop.
  int status;                 // HTTP status it is sent with.
  bool has_body;              // One of the 107 codes public clients know: sent as a body too.
};

[[nodiscard]] const ErrorInfo* find_error(ErrorCode code);

// "RestApp.12" for a code without a row, from the category's name.
[[nodiscard]] std::string error_name(ErrorCode code);

// Codes the agent and the tools use by name.
inline constexpr ErrorCode kEntryPointNotExecutable = make_code(1, 15);
inline constexpr ErrorCode kDevelopmentNeeded = make_code(1, 20);
inline constexpr ErrorCode kIllegalCapability = make_code(1, 24);
inline constexpr ErrorCode kPinsInUse = make_code(1, 25);
inline constexpr ErrorCode kNoRealTimeCore = make_code(1, 31);
inline constexpr ErrorCode kNoManifest = make_code(2, 25);
inline constexpr ErrorCode kIncompatibleRuntime = make_code(3, 22);
inline constexpr ErrorCode kDebuggerMissing = make_code(3, 10);
inline constexpr ErrorCode kUndefinedGpio = make_code(5, 3);
inline constexpr ErrorCode kGpioInUse = make_code(5, 4);
inline constexpr ErrorCode kUndefinedPeripheral = make_code(5, 7);
inline constexpr ErrorCode kPeripheralInUse = make_code(5, 8);
inline constexpr ErrorCode kStorageTooLarge = make_code(6, 12);
inline constexpr ErrorCode kPackageUntrusted = make_code(7, 15);
inline constexpr ErrorCode kPackageInvalid = make_code(7, 18);
inline constexpr ErrorCode kPackageTooLarge = make_code(7, 19);
inline constexpr ErrorCode kInstallFailed = make_code(7, 24);
inline constexpr ErrorCode kComponentInvalid = make_code(7, 47);
inline constexpr ErrorCode kJsonInvalid = make_code(10, 1);
inline constexpr ErrorCode kBusy = make_code(10, 5);
inline constexpr ErrorCode kInternal = make_code(10, 6);
inline constexpr ErrorCode kNotAuthorised = make_code(10, 18);
inline constexpr ErrorCode kTriggerUnknown = make_code(14, 9);
inline constexpr ErrorCode kAppNotPresent = make_code(14, 12);
inline constexpr ErrorCode kComponentIdMalformed = make_code(14, 15);
inline constexpr ErrorCode kNoSpace = make_code(14, 18);
inline constexpr ErrorCode kMethodNotAllowed = make_code(15, 1);
inline constexpr ErrorCode kNotFound = make_code(15, 2);
inline constexpr ErrorCode kContentLength = make_code(15, 4);
inline constexpr ErrorCode kHeaderTooLarge = make_code(15, 7);

}  // namespace sphere::device_api
