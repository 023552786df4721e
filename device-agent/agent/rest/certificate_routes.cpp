// SPDX-License-Identifier: MIT
#include <string>
#include <utility>

#include "device-agent/agent/logs/diagnostic_log.h"
#include "device-agent/agent/network/certificates.h"
#include "device-agent/agent/rest/answers.h"
#include "device-agent/agent/rest/routes.h"
#include "device-agent/agent/rest/services.h"
#include "sphere/device_api/device_log.h"
#include "sphere/device_api/network.h"
#include "sphere/http/server.h"
#include "sphere/json/value.h"

namespace sphere::agent::certificate_routes {
namespace {

http::Response done(Call& call, const char* what) {
  call.services->log->write(device_api::kLogCertificate,
                            std::move(device_api::LogParameters{}.text(call.tail).text(what)));
  return json_answer(json::Value{json::Object{}});
}

}  // namespace

http::Response list(Call& call) {
  json::Value ids{json::Array{}};
  for (const auto& id : call.services->certificates->identifiers()) {
    ids.push(id);
  }
  return json_answer(json::Value{}.set("identifiers", std::move(ids)));
}

http::Response get(Call& call) {
  const auto found = call.services->certificates->find(call.tail);
  return found ? json_answer(device_api::to_json(*found)) : error_answer(found.error());
}

http::Response post(Call& call) {
  const auto request = read_certificate_request(call.body);
  if (!request) {
    return error_answer(request.error());
  }
  const auto stored = call.services->certificates->put(call.tail, *request);
  return stored ? done(call, "stored") : error_answer(stored.error());
}

http::Response remove(Call& call) {
  const auto removed = call.services->certificates->remove(call.tail);
  return removed ? done(call, "deleted") : error_answer(removed.error());
}

http::Response get_space(Call& call) {
  return json_answer(json::Value{}.set(
      "AvailableSpace", std::to_string(call.services->certificates->available_bytes())));
}

}  // namespace sphere::agent::certificate_routes
