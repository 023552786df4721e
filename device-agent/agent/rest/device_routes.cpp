// SPDX-License-Identifier: MIT
#include <chrono>
#include <cstdint>

#include "device-agent/agent/apps/admission.h"
#include "device-agent/agent/rest/answers.h"
#include "device-agent/agent/rest/routes.h"
#include "device-agent/agent/version.h"
#include "sphere/device_api/bodies.h"
#include "sphere/http/server.h"
#include "sphere/json/value.h"

namespace sphere::agent::device_routes {

http::Response get_status(Call& call) {
  const auto up = std::chrono::duration_cast<std::chrono::seconds>(
      call.services->clock->monotonic() - call.services->started);
  return json_answer(json::Value{}.set("uptime", static_cast<std::int64_t>(up.count())));
}

http::Response get_os_version(Call& /*call*/) {
  return json_answer(json::Value{}.set("osversion", kOsVersion));
}

http::Response get_abi_versions(Call& /*call*/) {
  return json_answer(json::Value{}
                         .set("SecureWorldRuntime", 1)
                         .set("OSRuntime", 1)
                         .set("ApplicationRuntime", static_cast<std::int64_t>(kHighestApiSet)));
}

http::Response get_capabilities(Call& call) {
  json::Value list{json::Array{}};
  for (const auto number : call.services->state->capabilities()) {
    list.push(number);
  }
  return json_answer(json::Value{}.set("device_capabilities", list));
}

http::Response get_security_state(Call& call) {
  // The roots of a virtual board are development keys; nothing is fused.
  return json_answer(device_api::to_json(
      device_api::SecurityState{.security_state = "TEST",
                                .device_identifier = call.services->device_id,
                                .device_identity_public_key = call.services->device_id}));
}

http::Response get_manufacturing_state(Call& call) {
  return json_answer(
      json::Value{}.set("manufacturingState", call.services->state->manufacturing_state()));
}

http::Response restart(Call& call) {
  auto answer = json_answer(json::Value{}.set("restartingSystem", true));
  answer.close = true;
  answer.after = call.services->restart;
  call.services->begin_restart();
  return answer;
}

}  // namespace sphere::agent::device_routes
