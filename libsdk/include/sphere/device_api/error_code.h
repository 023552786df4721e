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
inline constexpr ErrorCode kUnknownCapability = make_code(1, 24);
inline constexpr ErrorCode kNoManifest = make_code(2, 25);
inline constexpr ErrorCode kIncompatibleRuntime = make_code(3, 22);
inline constexpr ErrorCode kDebuggerMissing = make_code(3, 10);
inline constexpr ErrorCode kDebugFailed = make_code(14, 11);
inline constexpr ErrorCode kUndefinedGpio = make_code(5, 3);
inline constexpr ErrorCode kGpioInUse = make_code(5, 4);
inline constexpr ErrorCode kUndefinedPeripheral = make_code(5, 7);
inline constexpr ErrorCode kPeripheralInUse = make_code(5, 8);
inline constexpr ErrorCode kStorageTooLarge = make_code(6, 12);
inline constexpr ErrorCode kPackageUntrusted = make_code(7, 15);
inline constexpr ErrorCode kPackageInvalid = make_code(7, 18);
inline constexpr ErrorCode kUpdatePermission = make_code(7, 37);
inline constexpr ErrorCode kPackageTooLarge = make_code(7, 19);
inline constexpr ErrorCode kInstallFailed = make_code(7, 24);
inline constexpr ErrorCode kComponentInvalid = make_code(7, 47);
inline constexpr ErrorCode kJsonInvalid = make_code(10, 1);
inline constexpr ErrorCode kBusy = make_code(10, 5);
inline constexpr ErrorCode kInternal = make_code(10, 6);
inline constexpr ErrorCode kCertificateIdTooLong = make_code(10, 12);
inline constexpr ErrorCode kConfigNameLength = make_code(10, 16);
inline constexpr ErrorCode kNotAuthorised = make_code(10, 18);
inline constexpr ErrorCode kProxyEnabledInvalid = make_code(10, 19);
inline constexpr ErrorCode kProxyPortInvalid = make_code(10, 20);
inline constexpr ErrorCode kProxyAddressInvalid = make_code(10, 21);
inline constexpr ErrorCode kProxyExceptionsInvalid = make_code(10, 22);
inline constexpr ErrorCode kProxyUserInvalid = make_code(10, 23);
inline constexpr ErrorCode kProxyPasswordInvalid = make_code(10, 24);
inline constexpr ErrorCode kProxyAuthenticationInvalid = make_code(10, 25);
inline constexpr ErrorCode kProxyPortMissing = make_code(10, 27);
inline constexpr ErrorCode kProxyAddressMissing = make_code(10, 28);
inline constexpr ErrorCode kProxyAuthenticationMissing = make_code(10, 29);
inline constexpr ErrorCode kPowerSavingsInvalid = make_code(10, 30);
inline constexpr ErrorCode kWifiParameters = make_code(13, 1);
inline constexpr ErrorCode kWifiNotFound = make_code(13, 3);
inline constexpr ErrorCode kWifiPropertiesInvalid = make_code(13, 8);
inline constexpr ErrorCode kWifiSsidTooLong = make_code(13, 15);
inline constexpr ErrorCode kWifiPskTooLong = make_code(13, 16);
inline constexpr ErrorCode kWifiDown = make_code(13, 18);
inline constexpr ErrorCode kWifiNoSpace = make_code(13, 19);
inline constexpr ErrorCode kWifiTooMany = make_code(13, 22);
inline constexpr ErrorCode kWifiCertificateMissing = make_code(13, 24);
inline constexpr ErrorCode kWifiPskTooShort = make_code(13, 25);
inline constexpr ErrorCode kTriggerUnknown = make_code(14, 9);
inline constexpr ErrorCode kAppNotPresent = make_code(14, 12);
inline constexpr ErrorCode kComponentIdMalformed = make_code(14, 15);
inline constexpr ErrorCode kNoSpace = make_code(14, 18);
inline constexpr ErrorCode kMethodNotAllowed = make_code(15, 1);
inline constexpr ErrorCode kNotFound = make_code(15, 2);
inline constexpr ErrorCode kContentLength = make_code(15, 4);
inline constexpr ErrorCode kHeadMalformed = make_code(15, 5);
inline constexpr ErrorCode kHeaderTooLarge = make_code(15, 7);
inline constexpr ErrorCode kHardwareAddressInvalid = make_code(30, 6);
inline constexpr ErrorCode kInterfaceNotPermitted = make_code(30, 15);
inline constexpr ErrorCode kCertificateIdCharacter = make_code(37, 2);
inline constexpr ErrorCode kCertificateInvalid = make_code(37, 3);
inline constexpr ErrorCode kCertificateIdLength = make_code(37, 4);
inline constexpr ErrorCode kCertificateNotFound = make_code(37, 7);
inline constexpr ErrorCode kCertificateStoreFull = make_code(37, 11);
inline constexpr ErrorCode kCertificateTypeUnknown = make_code(37, 12);
inline constexpr ErrorCode kCertificatePemInvalid = make_code(37, 13);
inline constexpr ErrorCode kCertificatePemTooLong = make_code(37, 14);
inline constexpr ErrorCode kCertificateKeyInvalid = make_code(37, 15);
inline constexpr ErrorCode kCertificateKeyTooLong = make_code(37, 16);
inline constexpr ErrorCode kCertificateKeyNotExpected = make_code(37, 17);
inline constexpr ErrorCode kCertificatePasswordTooLong = make_code(37, 18);
inline constexpr ErrorCode kCertificatePasswordNotExpected = make_code(37, 19);
inline constexpr ErrorCode kCertificateKeyMismatch = make_code(37, 20);
inline constexpr ErrorCode kCertificateKeyNotEncrypted = make_code(37, 21);

}  // namespace sphere::device_api
