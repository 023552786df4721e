// SPDX-License-Identifier: MIT
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "device-agent/agent/apps/admission.h"
#include "device-agent/agent/rest/answers.h"
#include "device-agent/agent/rest/development.h"
#include "device-agent/agent/rest/routes.h"
#include "device-agent/agent/rest/services.h"
#include "device-agent/agent/version.h"
#include "sphere/core/result.h"
#include "sphere/device_api/bodies.h"
#include "sphere/device_api/device_log.h"
#include "sphere/device_api/error_code.h"
#include "sphere/http/server.h"
#include "sphere/json/value.h"

namespace sphere::agent::device_routes {
namespace {

// Clients compare the type as a whole: it has no parameters.
http::Response octets(const std::vector<std::byte>& bytes) {
  std::string text(bytes.size(), '\0');
  std::ranges::transform(bytes, text.begin(),
                         [](std::byte byte) { return std::to_integer<char>(byte); });
  return {.status = 200,
          .headers = {{"Content-Type", "application/octet-stream"}},
          .body = std::move(text)};
}

}  // namespace

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
  for (const auto number : call.capabilities) {
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

http::Response put_manufacturing_state(Call& call) {
  auto& services = *call.services;
  const auto state = call.body.string_at("manufacturingState");
  const bool known = state == "Module1Complete" || state == "DeviceComplete";
  const auto before = services.state->manufacturing_state();
  const auto noted =
      known && before != *state ? services.state->note_leaving_development() : Result<void>{};
  const auto advanced = !noted  ? noted
                        : known ? services.state->advance_manufacturing_state(*state)
                                : fail(Errc::invalid_argument,
                                       "manufacturingState is neither Module1Complete nor "
                                       "DeviceComplete");
  if (!advanced) {
    const bool wrong = advanced.error().code() == Errc::invalid_argument;
    return error_answer(
        {.code = wrong ? device_api::kJsonInvalid : device_api::kInternal,
         .message = wrong ? advanced.error().message() : "the board could not store the state"});
  }
  if (before != *state) {
    services.log->write(device_api::kLogManufacturing,
                        std::move(device_api::LogParameters{}.text(*state)));
    leave_development(services, services.state->has_capability(kAppDevelopment));
    services.loop->post([&services, before, now = *state] {
      services.events->add("ManufacturingStateChanged", "", "",
                           json::Value{}.set("from", before).set("to", now));
    });
  }
  return json_answer(json::Value{json::Object{}});
}

http::Response get_log(Call& call) { return octets(call.services->log->bytes()); }

http::Response get_telemetry(Call& call) {
  return octets(call.services->loop->call([&] { return call.services->telemetry->read(); }));
}

http::Response delete_telemetry(Call& call) {
  const auto cleared = call.services->loop->call([&] { return call.services->telemetry->clear(); });
  return cleared ? json_answer(json::Value{json::Object{}}) : error_answer(cleared.error());
}

http::Response restart(Call& call) {
  call.services->log->write(device_api::kLogRestart);
  auto answer = json_answer(json::Value{}.set("restartingSystem", true));
  answer.close = true;
  answer.after = call.services->restart;
  call.services->begin_restart();
  return answer;
}

}  // namespace sphere::agent::device_routes
