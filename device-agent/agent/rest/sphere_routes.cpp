// SPDX-License-Identifier: MIT
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "device-agent/agent/apps/manager.h"
#include "device-agent/agent/apps/transitions.h"
#include "device-agent/agent/event_log.h"
#include "device-agent/agent/rest/answers.h"
#include "device-agent/agent/rest/routes.h"
#include "device-agent/agent/rest/streams.h"
#include "device-agent/agent/rest/target.h"
#include "device-agent/agent/sandbox/report.h"
#include "device-agent/agent/version.h"
#include "sphere/core/guid.h"
#include "sphere/core/text.h"
#include "sphere/device_api/bodies.h"
#include "sphere/device_api/device_log.h"
#include "sphere/device_api/error_code.h"
#include "sphere/http/server.h"
#include "sphere/json/value.h"

namespace sphere::agent::sphere_routes {
namespace {

constexpr std::int64_t kMaxConnections = 16;

http::Response refused(device_api::ErrorCode code, std::string message, int status = 0) {
  return error_answer({.code = code, .message = std::move(message)},
                      {.status = status, .sphere_v1 = true});
}

http::Response no_app(const std::string& id) {
  return refused(device_api::kAppNotPresent, fmt::format("app {} is not installed", id), 404);
}

// Nothing for a value that is no number; 0 without one.
std::optional<std::int64_t> after_of(const Target& target) {
  const auto text = target.value("after");
  if (!text) {
    return 0;
  }
  std::int64_t number = 0;
  const char* const end = std::to_address(text->end());
  const auto [stop, error] = std::from_chars(text->data(), end, number);
  if (error != std::errc{} || stop != end || number < 0) {
    return std::nullopt;
  }
  return number;
}

http::Response bad_after() {
  return refused(device_api::kJsonInvalid, "after is not a line number", 400);
}

}  // namespace

http::Response get_board(Call& call) {
  const auto& services = *call.services;
  device_api::BoardInfo info{.agent = std::string{kAgentVersion},
                             .os_version = std::string{kOsVersion},
                             .board_id = services.facts.board_id,
                             .board_name = services.facts.name,
                             .is_virtual = true,
                             .features = {"emulated-apps"},
                             .max_image_bytes = static_cast<std::int64_t>(kMaxImageBytes),
                             .max_connections = kMaxConnections,
                             .max_followers = kMaxFollowers};
  if (services.state->public_test_key_on()) {
    info.features.emplace_back("public-test-key");
  }
  return json_answer(device_api::to_json(info));
}

http::Response get_apps(Call& call) {
  const auto apps = call.services->loop->call([&] { return call.services->apps->list(); });
  return json_answer(device_api::to_json(apps));
}

http::Response get_sandbox(Call& call) {
  const auto component = Guid::parse(call.tail);
  if (!component) {
    return refused(device_api::kComponentIdMalformed, "malformed component id", 400);
  }
  auto& services = *call.services;
  const auto phase = services.loop->call([&] { return services.apps->phase(*component); });
  const auto report = services.loop->call([&] { return services.apps->sandbox(*component); });
  if (phase == Phase::absent) {
    return no_app(call.tail);
  }
  if (!report) {
    return refused(device_api::kAppNotPresent,
                   fmt::format("app {} has not been started since the board started", call.tail),
                   409);
  }
  return json_answer(to_json(*report));
}

http::Response get_debug(Call& call) {
  const auto component = Guid::parse(call.tail);
  if (!component) {
    return refused(device_api::kComponentIdMalformed, "malformed component id", 400);
  }
  auto& services = *call.services;
  const auto phase = services.loop->call([&] { return services.apps->phase(*component); });
  const auto status = services.loop->call([&] { return services.apps->debug_status(*component); });
  if (phase == Phase::absent) {
    return no_app(call.tail);
  }
  if (!status) {
    return refused(device_api::kBusy, fmt::format("app {} is not debugged", call.tail), 409);
  }
  return json_answer(*status);
}

http::Response get_output(Call& call) {
  const auto component = Guid::parse(call.tail);
  if (!component) {
    return refused(device_api::kComponentIdMalformed, "malformed component id", 400);
  }
  const auto after = after_of(call.target);
  if (!after) {
    return bad_after();
  }
  auto& services = *call.services;
  const auto log = services.loop->call([&] { return services.apps->output(*component); });
  if (!log) {
    return no_app(call.tail);
  }
  return output_lines(services, log, *after, call.target.value("follow") == "true");
}

http::Response get_events(Call& call) {
  const auto after = after_of(call.target);
  if (!after) {
    return bad_after();
  }
  const auto events =
      call.services->loop->call([&] { return call.services->events->after(*after); });
  json::Value list{json::Array{}};
  auto next = *after;
  for (const auto& event : events) {
    list.push(to_json(event));
    next = event.seq;
  }
  return json_answer(json::Value{}.set("events", list).set("next", next));
}

http::Response get_log(Call& call) {
  const auto after = after_of(call.target);
  if (!after) {
    return bad_after();
  }
  LogFilter filter{.after = *after};
  if (const auto level = call.target.value("level")) {
    const auto priority = device_api::parse_log_priority(*level);
    if (!priority) {
      return refused(device_api::kJsonInvalid, fmt::format("{} is no level of the log", *level),
                     400);
    }
    filter.priority = *priority;
  }
  filter.category = call.target.value("category").value_or("");
  return log_lines(*call.services, filter, call.target.value("follow") == "true");
}

http::Response forward_virtual(Call& call) {
  constexpr std::size_t kBodyLimit = 3072;  // What fits the board link beside method and path.
  if (call.text.size() > kBodyLimit) {
    return refused(device_api::kContentLength,
                   fmt::format("a body for a virtual peripheral has at most {} bytes", kBodyLimit),
                   400);
  }
  if (!is_valid_utf8(call.text)) {
    return refused(device_api::kJsonInvalid, "the body is not UTF-8 text", 400);
  }
  const auto path = call.tail + (call.target.query.empty() ? "" : "?" + call.target.query);
  auto answer = call.services->board->forward(call.method, path, call.text);
  if (!answer) {
    return refused(device_api::kInternal, answer.error().message(), 500);
  }
  if (answer->stream) {
    return copied_lines(*call.services, std::move(answer->stream));
  }
  auto response = json_answer(answer->body, answer->status);
  if (const auto code = answer->body.integer_at("error")) {
    response.headers.emplace_back("Sphere-Error", std::to_string(*code));
  }
  return response;
}

}  // namespace sphere::agent::sphere_routes
