// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>

#include "device-agent/agent/refusal.h"
#include "sphere/device_api/error_code.h"
#include "sphere/http/message.h"
#include "sphere/http/server.h"
#include "sphere/json/value.h"

namespace sphere::agent {

// REST-API-Version and Sphere-API-Version, in every answer.
[[nodiscard]] http::Headers common_headers();

[[nodiscard]] http::Response json_answer(const json::Value& body, int status = 200);

struct ErrorStyle {
  int status = 0;          // 0: the one of the code.
  bool sphere_v1 = false;  // Always a body, with the code's name.
};

// The answer for a refusal. Header Sphere-Error always; a body where public clients know the code,
// and below /sphere/v1.
[[nodiscard]] http::Response error_answer(const Refusal& refusal, ErrorStyle style = {});

// Status, code in the header, no body.
[[nodiscard]] http::Response empty_error(int status, device_api::ErrorCode code);

// At most 200 printable ASCII characters of `text`.
[[nodiscard]] std::string plain_text(std::string_view text);

}  // namespace sphere::agent
