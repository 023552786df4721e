// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>

#include "sphere/core/result.h"
#include "sphere/device/rest_client.h"
#include "sphere/http/client.h"

namespace sphere::device {

// What the device's answer says went wrong: its code from the header Sphere-Error or the body.
[[nodiscard]] DeviceError read_device_error(const http::ClientResponse& response);

// The Error for a refused request: message with the device's words, number, name and sentence of
// the code; reason and next step for what a person can do.
[[nodiscard]] Error refusal(const http::ClientResponse& response, const DeviceError& error);

}  // namespace sphere::device
