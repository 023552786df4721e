// SPDX-License-Identifier: MIT
#include "device-agent/agent/rest/handler.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "device-agent/agent/apps/manager.h"
#include "device-agent/agent/refusal.h"
#include "device-agent/agent/rest/access.h"
#include "device-agent/agent/rest/answers.h"
#include "device-agent/agent/rest/routes.h"
#include "device-agent/agent/rest/target.h"
#include "sphere/core/clock.h"
#include "sphere/core/text.h"
#include "sphere/device_api/device_log.h"
#include "sphere/device_api/error_code.h"
#include "sphere/http/message.h"
#include "sphere/http/server.h"
#include "sphere/json/value.h"

namespace sphere::agent {
namespace {

constexpr std::string_view kSphereRoot = "/sphere/v1";

bool is_sphere(std::string_view path) { return path.starts_with(kSphereRoot); }

http::Response too_large(bool sphere_v1) {
  auto answer = error_answer({.code = device_api::kContentLength,
                              .message = "request body is larger than this call takes"},
                             {.status = 400, .sphere_v1 = sphere_v1});
  answer.close = true;
  return answer;
}

http::Response unknown_path(std::string_view path) {
  return error_answer(
      {.code = device_api::kNotFound, .message = fmt::format("no resource {}", path), .next = {}},
      {.sphere_v1 = is_sphere(path)});
}

http::Response wrong_method(const Match& match) {
  std::string allowed;
  for (const auto method : match.methods) {
    allowed += (allowed.empty() ? "" : ", ") + std::string{method};
  }
  auto answer = empty_error(405, device_api::kMethodNotAllowed);
  answer.headers.emplace_back("Allow", allowed);
  return answer;
}

bool has_media_type(const http::Request& request, std::string_view type) {
  const auto header = http::find_header(request.headers, "Content-Type").value_or("");
  return to_lower(trim(std::string_view{header}.substr(0, header.find(';')))) == type;
}

http::Response handle(const Route& route, Call& call) {
  if (route.method == "GET") {
    return route.handle(call);
  }
  const std::lock_guard guard{call.services->change};
  return route.handle(call);
}

device_api::ErrorCode code_in(const http::Response& answer) {
  device_api::ErrorCode code = 0;
  if (const auto text = http::find_header(answer.headers, "Sphere-Error")) {
    std::from_chars(text->data(), text->data() + text->size(), code);
  }
  return code;
}

// Method, route and outcome of a request, never its path or body.
void note(Services& services, std::string_view method, std::string_view route,
          const http::Response& answer, std::chrono::nanoseconds began) {
  const auto status = static_cast<std::uint32_t>(answer.status);
  device_api::LogParameters parameters;
  parameters.text(method).text(route).unsigned_integer(status);
  if (answer.status / 100 == 2) {
    const auto spent =
        std::chrono::duration_cast<std::chrono::milliseconds>(services.clock->monotonic() - began);
    parameters.unsigned_integer(static_cast<std::uint32_t>(spent.count()));
    services.log->write(device_api::kLogRequest, std::move(parameters));
  } else {
    parameters.integer(code_in(answer));
    services.log->write(device_api::kLogRefusal, std::move(parameters));
  }
}

http::Response run(const Route& route, Call& call) {
  const auto began = call.services->clock->monotonic();
  auto answer = handle(route, call);
  note(*call.services, route.method, route.path, answer, began);
  return answer;
}

// Collects a small body, then runs the route.
class SmallBody final : public http::BodySink {
 public:
  SmallBody(const Route& route, Call call) : route_{&route}, call_{std::move(call)} {}

  bool write(std::string_view piece) override {
    if (piece.size() > kJsonLimit - call_.text.size()) {
      refused_ = true;
      return false;
    }
    call_.text += piece;
    return true;
  }

  http::Response finish() override {
    const bool sphere_v1 = is_sphere(call_.target.path);
    if (refused_) {
      return too_large(sphere_v1);
    }
    if (route_->body == BodyKind::json && call_.text.empty()) {
      return empty_error(415, device_api::kJsonInvalid);
    }
    if (route_->body != BodyKind::forwarded && !call_.text.empty()) {
      auto body = json::parse(call_.text);
      if (!body) {
        return error_answer({.code = device_api::kJsonInvalid, .message = body.error().message()},
                            {.status = 400, .sphere_v1 = sphere_v1});
      }
      call_.body = *std::move(body);
    }
    return run(*route_, call_);
  }

 private:
  const Route* route_;
  Call call_;
  bool refused_ = false;
};

// Nothing when the body's type is one that the route takes.
std::optional<http::Response> refuse_type(const Route& route, const http::Request& request,
                                          std::optional<std::uint64_t> content_length) {
  const bool empty = content_length == 0;
  const bool untyped = !http::find_header(request.headers, "Content-Type");
  switch (route.body) {
    case BodyKind::none:
    case BodyKind::forwarded:
      return std::nullopt;
    case BodyKind::json:
      if (!empty && has_media_type(request, "application/json")) {
        return std::nullopt;
      }
      break;
    case BodyKind::maybe_json:
      if (empty || untyped || has_media_type(request, "application/json")) {
        return std::nullopt;
      }
      break;
    case BodyKind::package:
      if (!empty && has_media_type(request, "application/octet-stream")) {
        return std::nullopt;
      }
      break;
  }
  return empty_error(415, device_api::kJsonInvalid);
}

// Who tries many doors waits longer at each.
http::Response slowed(Services& services, http::Response answer) {
  constexpr std::chrono::seconds kDelay{1};
  if (!services.refusals.pass(services.clock->monotonic())) {
    answer.delay = kDelay;
  }
  return answer;
}

http::Response locked(device_api::ErrorCode code) {
  if (code == device_api::kDevelopmentNeeded) {
    return error_answer({.code = code,
                         .message = "this call needs the appDevelopment capability",
                         .next = "enable development on the board"});
  }
  return empty_error(403, code);
}

}  // namespace

Answer<void> await_for(Services& services, std::chrono::milliseconds limit,
                       const std::function<void(const AppManager::Done& done)>& start) {
  auto answer = services.loop->await_for<Answer<void>>(limit, start);
  return answer ? *std::move(answer)
                : refuse(device_api::kInternal, "the board has not finished the work in time",
                         "look at its state, then try again");
}

http::Decision RestHandler::on_request(const http::Request& request,
                                       std::optional<std::uint64_t> content_length) {
  if (services_->ending) {
    return http::Response{.hang_up = true};  // The next answer is the next run's.
  }
  const auto began = services_->clock->monotonic();
  std::string_view route;
  auto decision = decide(request, content_length, route);
  if (const auto* answer = std::get_if<http::Response>(&decision);
      answer != nullptr && route.empty()) {
    note(*services_, request.method, "", *answer, began);
  }
  return decision;
}

// Nothing when the request comes from where requests may come from.
std::optional<http::Response> RestHandler::refuse_origin(const http::Request& request) {
  const auto host = http::find_header(request.headers, "Host");
  if (host && !is_own_host(*host, services_->device_id)) {
    return empty_error(400, device_api::kNotFound);
  }
  if (http::find_header(request.headers, "Origin")) {
    return slowed(*services_, empty_error(403, device_api::kNotAuthorised));
  }
  return std::nullopt;
}

// What the header of a temporary capability permits; the reason of a refusal goes into the log.
Answer<void> RestHandler::take_capability(const http::Request& request, std::string_view route,
                                          Call& call) {
  call.capabilities = services_->state->capabilities();
  const auto header = http::find_header(request.headers, "AZSPHERE-CAPABILITIES");
  if (!header) {
    return {};
  }
  const auto opened = services_->capabilities->open_temporary(*header);
  const auto id = opened ? file_id_of(*opened) : "refused";
  const auto result = opened ? "used" : opened.error().message;
  services_->log->write(device_api::kLogCapability,
                        std::move(device_api::LogParameters{}.text(id).text(result)));
  services_->loop->post([services = services_, id, result, verb = std::string{route}] {
    services->events->add("CapabilityUsed", "", "",
                          json::Value{}.set("file_id", id).set("verb", verb).set("result", result));
  });
  if (!opened) {
    return refuse(opened.error().code, opened.error().message);
  }
  for (const auto number : opened->numbers) {
    CapabilityInEffect row{.number = number, .source = "temporary"};
    row.not_after = end_of(*opened);
    call.temporary.push_back(std::move(row));
    call.capabilities.push_back(number);
  }
  std::ranges::sort(call.capabilities);
  const auto repeated = std::ranges::unique(call.capabilities);
  call.capabilities.erase(repeated.begin(), repeated.end());
  return {};
}

http::Decision RestHandler::decide(const http::Request& request,
                                   std::optional<std::uint64_t> content_length,
                                   std::string_view& logged) {
  if (auto refused = refuse_origin(request)) {
    return *std::move(refused);
  }
  auto target = parse_target(request.target);
  if (!target) {
    return unknown_path(request.target);
  }
  auto match = find_route(request.method, target->path);
  if (!match) {
    return unknown_path(target->path);
  }
  if (match->route == nullptr) {
    return wrong_method(*match);
  }
  const auto& route = *match->route;
  Call call{.services = services_,
            .method = request.method,
            .target = *std::move(target),
            .tail = std::move(match->tail),
            .body = {},
            .text = {}};
  if (!take_capability(request, route.path, call)) {
    return slowed(*services_, empty_error(403, device_api::kNotAuthorised));
  }
  if (const auto refused =
          refuse_access(route.access, services_->state->manufacturing_state(), call.capabilities)) {
    return slowed(*services_, locked(*refused));
  }
  if (auto refused = refuse_type(route, request, content_length)) {
    return *std::move(refused);
  }
  logged = route.path;
  if (route.body == BodyKind::package) {
    if (http::find_header(request.headers, "Content-Range")) {
      auto answer = error_answer({.code = device_api::kContentLength,
                                  .message = "a package is uploaded as a whole, not a range of it",
                                  .next = "leave out Content-Range"});
      answer.close = true;
      return answer;
    }
    return update_routes::stage(*services_, content_length);
  }
  if (route.body != BodyKind::none && content_length.value_or(0) > kJsonLimit) {
    return too_large(is_sphere(call.target.path));
  }
  if (route.body == BodyKind::none) {
    return run(route, call);
  }
  return std::make_unique<SmallBody>(route, std::move(call));
}

}  // namespace sphere::agent
