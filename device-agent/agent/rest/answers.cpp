// SPDX-License-Identifier: MIT
#include "device-agent/agent/rest/answers.h"

#include <cstddef>
#include <string>
#include <string_view>

#include "device-agent/agent/refusal.h"
#include "sphere/device_api/bodies.h"
#include "sphere/device_api/error_code.h"
#include "sphere/http/message.h"
#include "sphere/http/server.h"
#include "sphere/json/value.h"

namespace sphere::agent {

http::Headers common_headers() {
  return {{"REST-API-Version", std::string{device_api::kRestApiVersion}},
          {"Sphere-API-Version", std::string{device_api::kSphereApiVersion}}};
}

http::Response json_answer(const json::Value& body, int status) {
  return {.status = status,
          .headers = {{"Content-Type", "application/json"}},
          .body = json::to_compact(body)};
}

std::string plain_text(std::string_view text) {
  constexpr std::size_t kLongest = 200;
  std::string plain;
  for (const char character : text.substr(0, kLongest)) {
    plain.push_back(character >= ' ' && character <= '~' ? character : '?');
  }
  return plain;
}

http::Response empty_error(int status, device_api::ErrorCode code) {
  return {.status = status, .headers = {{"Sphere-Error", std::to_string(code)}}};
}

http::Response error_answer(const Refusal& refusal, ErrorStyle style) {
  const auto* info = device_api::find_error(refusal.code);
  const int usual = info != nullptr ? info->status : 500;
  const int status = style.status != 0 ? style.status : usual;
  if (!style.sphere_v1 && (info == nullptr || !info->has_body)) {
    return empty_error(status, refusal.code);
  }
  device_api::ErrorBody body{.error = refusal.code,
                             .message = plain_text(refusal.message),
                             .next = plain_text(refusal.next),
                             .name = {}};
  if (style.sphere_v1) {
    body.name = info != nullptr ? std::string{info->name} : device_api::error_name(refusal.code);
  }
  auto answer = json_answer(device_api::to_json(body), status);
  answer.headers.emplace_back("Sphere-Error", std::to_string(refusal.code));
  if (refusal.code == device_api::kBusy) {
    answer.headers.emplace_back("Retry-After", "1");
  }
  return answer;
}

}  // namespace sphere::agent
