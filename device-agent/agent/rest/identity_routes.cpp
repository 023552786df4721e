// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "device-agent/agent/rest/answers.h"
#include "device-agent/agent/rest/routes.h"
#include "device-agent/agent/rest/services.h"
#include "device-agent/agent/state/capability_gate.h"
#include "sphere/core/encoding.h"
#include "sphere/device_api/error_code.h"
#include "sphere/device_api/identity_proof.h"
#include "sphere/http/server.h"
#include "sphere/image/capability.h"
#include "sphere/json/value.h"

namespace sphere::agent::identity_routes {
namespace {

http::Response refused(device_api::ErrorCode code, std::string message, int status = 0) {
  return error_answer({.code = code, .message = std::move(message)},
                      {.status = status, .sphere_v1 = true});
}

json::Value to_json(const CapabilityInEffect& capability) {
  return json::Value{}
      .set("number", capability.number)
      .set("source", capability.source)
      .set("notAfter", capability.not_after ? json::Value{*capability.not_after} : json::Value{})
      .set("usesLeft", capability.uses_left ? json::Value{*capability.uses_left} : json::Value{});
}

}  // namespace

http::Response post_identity(Call& call) {
  auto& services = *call.services;
  const auto text = call.body.string_at("nonce");
  const auto nonce = text ? from_base64(*text) : std::nullopt;
  if (!nonce || nonce->size() < device_api::kSmallestNonce ||
      nonce->size() > device_api::kLargestNonce) {
    return refused(device_api::kJsonInvalid, "nonce is not base64 of 16 to 64 bytes", 400);
  }
  if (!services.challenges.pass(services.clock->monotonic())) {
    return refused(device_api::kBusy, "more than 5 identity challenges in a second");
  }
  const auto proof =
      services.device_key != nullptr
          ? device_api::make_identity_proof(*nonce, *services.device_key, services.leaf_spki)
          : fail(Errc::not_found, "the board has no attestation key");
  return proof ? json_answer(json::Value{}.set("proof", to_base64(*proof)))
               : refused(device_api::kInternal, proof.error().message());
}

http::Response get_capability(Call& call) {
  std::vector<CapabilityInEffect> all;
  const auto installed = call.services->capabilities->installed();
  for (const auto number : call.services->state->capabilities()) {
    const bool from_file =
        installed && std::ranges::find(installed->numbers, number) != installed->numbers.end();
    CapabilityInEffect row{.number = number, .source = from_file ? "installed" : "manufacturing"};
    if (from_file) {
      row.not_after = end_of(*installed);
    }
    all.push_back(std::move(row));
  }
  all.insert(all.end(), call.temporary.begin(), call.temporary.end());
  json::Value list{json::Array{}};
  for (const auto& row : all) {
    list.push(to_json(row));
  }
  return json_answer(json::Value{}.set("capabilities", std::move(list)));
}

}  // namespace sphere::agent::identity_routes
