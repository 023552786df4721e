// SPDX-License-Identifier: MIT
#include "libsdk/src/manifest/findings.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "sphere/core/text.h"
#include "sphere/json/value.h"
#include "sphere/manifest/manifest.h"

namespace sphere::manifest {
namespace {

using ErrorName = std::pair<std::uint32_t, std::string_view>;

// Azure/azure-sphere-tools, ParseDeviceLog/24.06/commonerror_yml/app_manifest_error.yml: numbers
// and names, kept because devices and log readers use them. 12 and 52 to 55 are not in use.
constexpr std::array<ErrorName, 54> kErrorNames = {{
    {1, "InvalidJson"},
    {2, "ErrorReadingFile"},
    {3, "MissingEntryPoint"},
    {4, "MissingSchemaVersion"},
    {5, "CmdArgParseError"},
    {6, "MissingCapabilitiesList"},
    {7, "__DEPRECATED_ToggleStateParseError"},
    {8, "DebugParseError"},
    {9, "ConnectionsParseError"},
    {10, "GpioParseError"},
    {11, "NetworkConfigParseError"},
    {13, "PeripheralParseError"},
    {14, "UpdateParseError"},
    {15, "WifiParseError"},
    {16, "BadEntryPoint"},
    {17, "IncompatibleSchemaVersion"},
    {18, "UartNotAvailable"},
    {19, "UninstallError"},
    {20, "ErrorParsingPolicyGroups"},
    {21, "ErrorParsingPolicyCapabilities"},
    {22, "SpecifiedEntryPointDoesNotExist"},
    {23, "SpecifiedEntryPointIsNotAFile"},
    {24, "DeviceAuthTenantIdParseError"},
    {25, "NoAppManifest"},
    {26, "BadAppType"},
    {27, "NonStringAppType"},
    {28, "InvalidTenantId"},
    {29, "DeviceAuthTenantIdTooLong"},
    {30, "SystemTimeParseError"},
    {31, "NonObjectMutableStorageType"},
    {32, "MutableStorageMissingRequiredField"},
    {33, "ErrorParsingMutableStorageField"},
    {34, "MutableStorageRequestTooLarge"},
    {35, "RequestedPeripheralsRequireSamePin"},
    {36, "AllowedTcpPortsParseError"},
    {37, "AllowedUdpPortsParseError"},
    {38, "IllegalTcpPortsValue"},
    {39, "IllegalUdpPortsValue"},
    {40, "TimeSyncConfigParseError"},
    {41, "DhcpServiceParseError"},
    {42, "SntpServiceParseError"},
    {43, "AllowedApplicationConnectionsParseError"},
    {44, "CertStoreParseError"},
    {45, "EnterpriseWifiConfigParseError"},
    {46, "SystemEventNotificationsParseError"},
    {47, "SoftwareUpdateDeferralParseError"},
    {48, "PowerControlsMalformedParseError"},
    {49, "PowerControlsEmptyParseError"},
    {50, "PowerControlsInvalidEntryParseError"},
    {51, "HardwareAddressConfigParseError"},
    {56, "ReadNetworkProxyConfigParseError"},
    {57, "ResetMemoryWatermarksParseError"},
    {58, "HeapMemStatsParseError"},
    {59, "MallocVersionParseError"},
}};

// RFC 6901: '~' and '/' of a key are escaped.
std::string pointer_token(std::string_view key) {
  std::string token = "/";
  for (const char letter : key) {
    if (letter == '~') {
      token += "~0";
    } else if (letter == '/') {
      token += "~1";
    } else {
      token += letter;
    }
  }
  return token;
}

}  // namespace

std::string_view error_name(std::uint32_t id) {
  const auto* const found =
      std::ranges::find_if(kErrorNames, [id](const ErrorName& row) { return row.first == id; });
  return found == kErrorNames.end() ? std::string_view{} : found->second;
}

Place Place::member(const json::Member& member) const {
  return {.pointer = pointer + pointer_token(member.key), .source = member.key_source};
}

Place Place::member(std::string_view key) const {
  return {.pointer = pointer + pointer_token(key), .source = source};
}

Place Place::item(std::size_t index, const json::Value& value) const {
  return {.pointer = fmt::format("{}/{}", pointer, index), .source = value.source()};
}

void Findings::error(std::uint32_t id, const Place& place, std::string message, std::string hint) {
  error(2, id, error_name(id), place, std::move(message), std::move(hint));
}

void Findings::error(std::uint32_t category, std::uint32_t id, std::string_view rule,
                     const Place& place, std::string message, std::string hint) {
  add({.severity = Severity::error,
       .category = category,
       .id = id,
       .rule = std::string{rule},
       .message = std::move(message),
       .hint = std::move(hint)},
      place);
}

void Findings::warn(std::string_view rule, const Place& place, std::string message,
                    std::string hint) {
  add({.severity = Severity::warning,
       .rule = std::string{rule},
       .message = std::move(message),
       .hint = std::move(hint)},
      place);
}

void Findings::add(Finding finding, const Place& place) {
  finding.pointer = place.pointer;
  finding.line = place.source.line;
  finding.column = place.source.column;
  list_.push_back(std::move(finding));
}

std::vector<Finding> Findings::take() {
  // Findings of one place keep the order in which they were made; std::stable_sort would do that,
  // but clang 19 calls what it uses in libstdc++ 12 deprecated.
  std::vector<std::size_t> order(list_.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::sort(order, [this](std::size_t a, std::size_t b) {
    return std::tuple{list_[a].line, list_[a].column, a} <
           std::tuple{list_[b].line, list_[b].column, b};
  });
  std::vector<Finding> sorted;
  sorted.reserve(list_.size());
  for (const auto index : order) {
    sorted.push_back(std::move(list_[index]));
  }
  list_.clear();
  return sorted;
}

std::string quoted(std::string_view text) {
  const auto cut = cut_utf8(text, 64);
  return fmt::format("\"{}{}\"", escape_control(cut), cut.size() < text.size() ? "..." : "");
}

std::string shown(const json::Value& value) {
  switch (value.kind()) {
    case json::Kind::string:
      return quoted(*value.string());
    case json::Kind::array:
      return "a list";
    case json::Kind::object:
      return "an object";
    case json::Kind::number:
      return std::string{cut_utf8(value.number_text(), 32)};
    case json::Kind::boolean:
    case json::Kind::null:
      break;
  }
  return json::to_compact(value);
}

std::string suggestion(std::string_view word, std::span<const std::string> known) {
  // Beyond this length nothing known is near, and the comparison would cost its square.
  if (word.size() > 64) {
    return {};
  }
  std::vector<std::string> lower;
  lower.reserve(known.size());
  for (const auto& candidate : known) {
    lower.push_back(to_lower(candidate));
  }
  const auto near = nearest(to_lower(word), lower, 1);
  if (near.empty()) {
    return {};
  }
  const auto index = std::ranges::find(lower, near[0]) - lower.begin();
  return fmt::format("did you mean \"{}\"?", known[static_cast<std::size_t>(index)]);
}

}  // namespace sphere::manifest
