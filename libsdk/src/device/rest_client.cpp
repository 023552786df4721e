// SPDX-License-Identifier: MIT
#include "sphere/device/rest_client.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "libsdk/src/device/line_splitter.h"
#include "libsdk/src/device/refusal.h"
#include "sphere/core/guid.h"
#include "sphere/core/result.h"
#include "sphere/device_api/bodies.h"
#include "sphere/http/client.h"
#include "sphere/http/message.h"
#include "sphere/json/value.h"

namespace sphere::device {

namespace api = device_api;

namespace {

constexpr std::size_t kAnswerLimit = std::size_t{4} * 1024 * 1024;
// The device may take 120 s to install; the rest is for the way.
constexpr std::chrono::seconds kInstallLimit{150};
// A follow stream gives a sign of life each 15 s.
constexpr std::chrono::seconds kFollowLimit{45};
constexpr std::string_view kJson = "application/json";

tl::unexpected<Error> bad_answer(std::string_view what) {
  return fail(Errc::corrupt, fmt::format("the device's answer has no proper {}", what),
              {.reason = "device.error",
               .value = std::string{what},
               .next = "make sure that this is a Sphere device: sphere device list-attached"});
}

Result<std::string> text_in(const Result<json::Value>& answer, std::string_view key) {
  SPHERE_TRY(answer);
  auto text = answer->string_at(key);
  if (!text) {
    return bad_answer(key);
  }
  return *std::move(text);
}

Result<api::AppState> state_in(const Result<json::Value>& answer) {
  SPHERE_TRY_ASSIGN(const std::string text, text_in(answer, "state"));
  return api::parse_app_state(text);
}

std::string app_path(const Guid& component) { return "/sphere/v1/apps/" + component.text(); }

}  // namespace

Result<http::ClientResponse> RestClient::exchange(http::ClientRequest request) {
  last_device_error_.reset();
  if (cancelled_) {
    request.cancelled = cancelled_;
  }
  if (!capability_.empty()) {
    request.headers.emplace_back("AZSPHERE-CAPABILITIES", capability_);
  }
  SPHERE_TRY_ASSIGN(auto response, client_->send(request));
  api_version_ = http::find_header(response.headers, "REST-API-Version").value_or("");
  if (response.status / 100 != 2) {
    last_device_error_ = read_device_error(response);
    return tl::make_unexpected(refusal(response, *last_device_error_));
  }
  return response;
}

Result<json::Value> RestClient::call(http::ClientRequest request) {
  request.response_limit = kAnswerLimit;
  SPHERE_TRY_ASSIGN(const auto response, exchange(std::move(request)));
  if (response.body.empty()) {
    return json::Value{};
  }
  auto value = json::parse(response.body, {.bytes = kAnswerLimit});
  if (!value) {
    return tl::make_unexpected(std::move(value)
                                   .error()
                                   .while_doing("the device's answer")
                                   .with_hint({.reason = "device.error"}));
  }
  return value;
}

Result<json::Value> RestClient::get(std::string path) { return call({.path = std::move(path)}); }

Result<json::Value> RestClient::send_json(std::string method, std::string path,
                                          const json::Value& body) {
  return call({.method = std::move(method),
               .path = std::move(path),
               .headers = {{"Content-Type", std::string{kJson}}},
               .body = json::to_compact(body)});
}

Result<std::int64_t> RestClient::uptime_seconds() {
  SPHERE_TRY_ASSIGN(const auto answer, get("/status"));
  const auto uptime = answer.integer_at("uptime");
  if (!uptime) {
    return bad_answer("uptime");
  }
  return *uptime;
}

Result<std::string> RestClient::os_version() { return text_in(get("/osversion"), "osversion"); }

Result<api::SecurityState> RestClient::security_state() {
  SPHERE_TRY_ASSIGN(const auto answer, get("/device/security_state"));
  return api::security_state_from_json(answer);
}

Result<std::vector<std::int64_t>> RestClient::capabilities() {
  SPHERE_TRY_ASSIGN(const auto answer, get("/device/capabilities"));
  const json::Value* const list = answer.find("device_capabilities");
  if (list == nullptr || list->kind() != json::Kind::array) {
    return bad_answer("device_capabilities");
  }
  std::vector<std::int64_t> numbers;
  for (const json::Value& item : list->items()) {
    const auto number = item.integer();
    if (!number) {
      return bad_answer("device_capabilities");
    }
    numbers.push_back(*number);
  }
  return numbers;
}

Result<std::string> RestClient::manufacturing_state() {
  return text_in(get("/device/manufacturing_state"), "manufacturingState");
}

Result<api::BoardInfo> RestClient::board_info() {
  SPHERE_TRY_ASSIGN(const auto answer, get("/sphere/v1"));
  return api::board_info_from_json(answer);
}

Result<void> RestClient::restart() {
  SPHERE_TRY(call({.method = "POST", .path = "/restart", .has_body = true}));
  return {};
}

Result<api::Images> RestClient::images() {
  SPHERE_TRY_ASSIGN(const auto answer, get("/images"));
  return api::images_from_json(answer);
}

Result<void> RestClient::stage(std::string package,
                               std::function<void(std::size_t, std::size_t)> progress) {
  SPHERE_TRY(call({.method = "PUT",
                   .path = "/update/stage",
                   .headers = {{"Content-Type", "application/octet-stream"}},
                   .body = std::move(package),
                   .has_body = true,
                   .progress = std::move(progress)}));
  return {};
}

Result<bool> RestClient::install(bool manual_start) {
  http::ClientRequest request{
      .method = "POST", .path = "/update/install", .has_body = true, .idle_limit = kInstallLimit};
  if (manual_start) {
    request.headers = {{"Content-Type", std::string{kJson}}};
    request.body = R"({"appControlMode":"Manual"})";
  }
  SPHERE_TRY_ASSIGN(const auto answer, call(std::move(request)));
  return answer.boolean_at("restartingSystem").value_or(false);
}

Result<void> RestClient::delete_app(const Guid& component) {
  SPHERE_TRY(call({.method = "DELETE", .path = "/app/image/" + component.text()}));
  return {};
}

Result<api::AppState> RestClient::app_state(const Guid& component) {
  return state_in(get("/app/status/" + component.text()));
}

Result<api::AppState> RestClient::trigger(const Guid& component, std::string_view trigger) {
  return state_in(
      send_json("PATCH", "/app/status/" + component.text(), json::Value{}.set("trigger", trigger)));
}

Result<api::AppState> RestClient::start_app(const Guid& component) {
  return trigger(component, "start");
}

Result<api::AppState> RestClient::stop_app(const Guid& component) {
  return trigger(component, "stop");
}

Result<std::vector<api::App>> RestClient::apps() {
  SPHERE_TRY_ASSIGN(const auto answer, get("/sphere/v1/apps"));
  return api::apps_from_json(answer);
}

Result<void> RestClient::stream(std::string path,
                                const std::function<Result<bool>(const json::Value&)>& take) {
  LineSplitter splitter;
  std::optional<Error> failure;
  bool enough = false;
  const auto take_line = [&](std::string_view line) -> Result<bool> {
    SPHERE_TRY_ASSIGN(const auto value, json::parse(line));
    if (value.find("end") != nullptr) {
      return false;
    }
    // {"run": id} and {"heartbeat": ms} are no content.
    const bool content = value.find("run") == nullptr && value.find("heartbeat") == nullptr;
    return content ? take(value) : Result<bool>{true};
  };
  auto done = exchange(
      {.path = std::move(path), .idle_limit = kFollowLimit, .sink = [&](std::string_view piece) {
         auto more = splitter.add(piece, take_line);
         if (!more) {
           failure = std::move(more).error();
           return false;
         }
         enough = !*more;
         return !enough;
       }});
  if (failure) {
    return tl::make_unexpected(*std::move(failure));
  }
  if (!done && !enough) {
    return tl::make_unexpected(std::move(done).error());
  }
  return {};
}

Result<void> RestClient::app_output(const Guid& component, bool follow, const LineSink& sink) {
  return stream(app_path(component) + "/output" + (follow ? "?follow=true" : ""),
                [&sink](const json::Value& value) -> Result<bool> {
                  if (const auto dropped = value.integer_at("dropped")) {
                    return sink({.seq = 0,
                                 .at = {},
                                 .text = fmt::format("({} lines were dropped)", *dropped),
                                 .cut = true});
                  }
                  SPHERE_TRY_ASSIGN(const auto line, api::output_line_from_json(value));
                  return sink(line);
                });
}

Result<std::vector<api::VirtualPeripheral>> RestClient::peripherals() {
  SPHERE_TRY_ASSIGN(const auto answer, get("/sphere/v1/virtual"));
  return api::virtual_peripherals_from_json(answer);
}

Result<api::GpioState> RestClient::gpio(std::int64_t pin) {
  SPHERE_TRY_ASSIGN(const auto answer, get(fmt::format("/sphere/v1/virtual/gpio/{}", pin)));
  return api::gpio_state_from_json(answer);
}

Result<api::GpioState> RestClient::set_gpio(std::int64_t pin, std::int64_t level) {
  SPHERE_TRY_ASSIGN(const auto answer,
                    send_json("PUT", fmt::format("/sphere/v1/virtual/gpio/{}", pin),
                              json::Value{}.set("level", level)));
  return api::gpio_state_from_json(answer);
}

Result<void> RestClient::pulse_gpio(std::int64_t pin, std::int64_t level,
                                    std::chrono::microseconds length) {
  SPHERE_TRY(send_json("POST", fmt::format("/sphere/v1/virtual/gpio/{}/pulse", pin),
                       json::Value{}
                           .set("level", level)
                           .set("microseconds", static_cast<std::int64_t>(length.count()))));
  return {};
}

Result<void> RestClient::watch_gpio(const EdgeSink& sink) {
  return stream("/sphere/v1/virtual/gpio?follow=true",
                [&sink](const json::Value& value) -> Result<bool> {
                  if (value.find("dropped") != nullptr) {
                    return true;
                  }
                  SPHERE_TRY_ASSIGN(const auto edge, api::gpio_edge_from_json(value));
                  return sink(edge);
                });
}

}  // namespace sphere::device
