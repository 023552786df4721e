// SPDX-License-Identifier: MIT
#include "libsdk/src/device/refusal.h"

#include <array>
#include <charconv>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/device/rest_client.h"
#include "sphere/device_api/bodies.h"
#include "sphere/device_api/error_code.h"
#include "sphere/http/client.h"
#include "sphere/http/message.h"
#include "sphere/json/value.h"

namespace sphere::device {

namespace api = device_api;

namespace {

// What a person can do about a code. The last row of a category is for all its other codes.
struct Advice {
  std::uint32_t category;
  std::uint32_t id;
  Errc code;
  std::string_view reason;
  std::string_view next;
};
constexpr std::uint32_t kAny = ~0U;

constexpr std::string_view kUnlock =
    "use a board that is not DeviceComplete, or one with a development capability";
constexpr std::string_view kSign =
    "sign the package with a key that the board trusts: sphere image-package sign";
constexpr std::string_view kStopOther = "stop the app that uses it: sphere device app stop";
constexpr std::string_view kMakeRoom = "delete apps: sphere device sideload delete";
constexpr std::string_view kList = "see what is there: sphere device image list-installed";
constexpr std::string_view kAgain = "try again in a moment";

// NOLINTBEGIN(modernize-use-designated-initializers): the rows of a table.
constexpr std::array kAdvice{
    Advice{1, 15, Errc::unsupported, "app.start-failed",
           "build the app for the processor and the API set of the board"},
    Advice{1, 20, Errc::permission, "app.development-needed", kUnlock},
    Advice{1, 25, Errc::busy, "app.start-failed", kStopOther},
    Advice{1, kAny, Errc::invalid_argument, "package.manifest", "correct app_manifest.json"},
    Advice{2, kAny, Errc::invalid_argument, "package.manifest", "correct app_manifest.json"},
    Advice{3, 10, Errc::not_found, "app.no-debugger", "deploy the debugger image first"},
    Advice{3, 22, Errc::unsupported, "package.unsupported",
           "build for an API set that the board has: sphere device show-os-version"},
    Advice{3, kAny, Errc::busy, "app.start-failed", "restart the device: sphere device restart"},
    Advice{5, kAny, Errc::busy, "app.start-failed", kStopOther},
    Advice{6, kAny, Errc::no_space, "app.start-failed", "ask for less in MutableStorage.SizeKB"},
    Advice{7, 15, Errc::unverified, "package.untrusted", kSign},
    Advice{7, 16, Errc::corrupt, "package.corrupt", "build the package again"},
    Advice{7, 18, Errc::corrupt, "package.corrupt", "build the package again"},
    Advice{7, 19, Errc::too_large, "package.too-large", "make the app smaller"},
    Advice{7, 39, Errc::busy, "device.updating", "wait until the update has ended"},
    Advice{7, 47, Errc::invalid_argument, "package.manifest",
           "give the app a ComponentId of its own in app_manifest.json"},
    Advice{10, 5, Errc::busy, "device.busy", kAgain},
    Advice{10, 17, Errc::too_large, "package.too-large", "make the app smaller"},
    Advice{10, 18, Errc::permission, "device.locked", kUnlock},
    Advice{10, 1, Errc::invalid_argument, "device.error", ""},
    Advice{10, 12, Errc::invalid_argument, "device.error", "give a shorter certificate identifier"},
    Advice{10, 16, Errc::invalid_argument, "device.error", "give a name of 1 to 16 characters"},
    Advice{13, 3, Errc::not_found, "device.error", "list the networks: sphere device wifi list"},
    Advice{13, 18, Errc::unavailable, "device.error",
           "switch it on: sphere device network enable --interface wlan0"},
    Advice{13, 22, Errc::no_space, "device.error", "forget one: sphere device wifi forget --id ID"},
    Advice{37, 7, Errc::not_found, "device.error",
           "list the certificates: sphere device certificate list"},
    Advice{37, 11, Errc::no_space, "device.error",
           "delete one: sphere device certificate delete --certificate ID"},
    Advice{37, kAny, Errc::invalid_argument, "device.error", ""},
    Advice{30, kAny, Errc::invalid_argument, "device.error",
           "see the interfaces: sphere device network list-interfaces"},
    Advice{14, 12, Errc::not_found, "app.not-present", kList},
    Advice{14, 17, Errc::unverified, "package.untrusted", kSign},
    Advice{14, 18, Errc::no_space, "package.too-large", kMakeRoom},
    Advice{15, 4, Errc::too_large, "package.too-large", "make the app smaller"},
};
// NOLINTEND(modernize-use-designated-initializers)

const Advice* find_advice(api::ErrorCode code) {
  const auto bits = static_cast<std::uint32_t>(code);
  for (const Advice& row : kAdvice) {
    if (row.category == bits >> 20U && (row.id == kAny || row.id == (bits & 0xF'FFFFU))) {
      return &row;
    }
  }
  return nullptr;
}

// For an answer without a code that tells more.
Advice advice_for_status(int status) {
  if (status == 403) {
    return {.category = 0,
            .id = 0,
            .code = Errc::permission,
            .reason = "device.locked",
            .next = kUnlock};
  }
  if (status == 404 || status == 405) {
    return {.category = 0,
            .id = 0,
            .code = Errc::unsupported,
            .reason = "device.too-old",
            .next = "update the OS of the device"};
  }
  return {.category = 0, .id = 0, .code = Errc::io, .reason = "device.error", .next = ""};
}

api::ErrorBody read_body(const http::ClientResponse& response) {
  const auto value = json::parse(response.body);
  const auto body = value ? api::error_from_json(*value) : api::error_from_json({});
  return body ? *body : api::ErrorBody{};
}

// "no such app on the device (device error 14680076, RestAppError::AppNotPresent)"
std::string describe(const DeviceError& error) {
  if (error.code == 0) {
    return fmt::format("the device refuses the call (HTTP status {})", error.status);
  }
  const api::ErrorInfo* const row = api::find_error(error.code);
  return row != nullptr
             ? fmt::format("{} (device error {}, {})", row->sentence, error.code, row->name)
             : fmt::format("the device refuses the call (device error {}, {})", error.code,
                           api::error_name(error.code));
}

}  // namespace

DeviceError read_device_error(const http::ClientResponse& response) {
  DeviceError error{.code = 0, .status = response.status};
  if (const auto header = http::find_header(response.headers, "Sphere-Error")) {
    api::ErrorCode code = 0;
    const char* const end = std::to_address(header->end());
    const auto [stop, ec] = std::from_chars(header->data(), end, code);
    error.code = ec == std::errc{} && stop == end && code > 0 ? code : 0;
  }
  if (error.code == 0) {
    error.code = read_body(response).error;
  }
  return error;
}

Error refusal(const http::ClientResponse& response, const DeviceError& error) {
  const api::ErrorBody body = read_body(response);
  const Advice* const known = error.code == 0 ? nullptr : find_advice(error.code);
  const Advice advice = known != nullptr ? *known : advice_for_status(response.status);
  std::string message = describe(error);
  if (!body.message.empty()) {
    message = escape_control(body.message) + ": " + message;
  }
  return {advice.code, std::move(message),
          Hint{.reason = advice.reason,
               .value = error.code == 0 ? fmt::format("HTTP {}", error.status)
                                        : std::to_string(error.code),
               .next = body.next.empty() ? std::string{advice.next} : escape_control(body.next)}};
}

}  // namespace sphere::device
