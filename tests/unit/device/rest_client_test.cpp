// SPDX-License-Identifier: MIT
#include "sphere/device/rest_client.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "sphere/core/guid.h"
#include "sphere/core/result.h"
#include "sphere/device_api/bodies.h"
#include "sphere/device_api/error_code.h"
#include "sphere/http/client.h"
#include "sphere/http/message.h"
#include "tests/support/fake_http.h"

namespace api = sphere::device_api;
using sphere::Errc;
using sphere::Guid;
using sphere::device::RestClient;
using sphere::http::ClientResponse;
using sphere::test::FakeHttp;
using sphere::test::HttpScript;

namespace {

constexpr std::string_view kId = "005180bc-402f-4cb3-a662-72937dbcde47";
const Guid kComponent = *Guid::parse(kId);  // NOLINT(cert-err58-cpp): a constant that parses

struct Rest {
  std::shared_ptr<HttpScript> script = std::make_shared<HttpScript>();
  RestClient client{std::make_unique<FakeHttp>(script)};

  void answer(std::string body, int status = 200) {
    script->answers.emplace_back(
        ClientResponse{.status = status, .headers = {}, .body = std::move(body)});
  }
  void refuse(int status, const std::string& code, std::string body = {}) {
    ClientResponse response{.status = status, .headers = {}, .body = std::move(body)};
    if (!code.empty()) {
      response.headers.emplace_back("sphere-error", code);
    }
    script->answers.emplace_back(std::move(response));
  }
  [[nodiscard]] const sphere::http::ClientRequest& last() const { return script->requests.back(); }
};

}  // namespace

TEST_CASE("simple calls ask the path of the API and take its value", "[device]") {
  Rest rest;
  rest.answer(R"({"uptime":12})");
  CHECK(*rest.client.uptime_seconds() == 12);
  CHECK(rest.last().method == "GET");
  CHECK(rest.last().path == "/status");
  rest.answer(R"({"osversion":"26.11"})");
  CHECK(*rest.client.os_version() == "26.11");
  rest.answer(R"({"device_capabilities":[11,13]})");
  CHECK(*rest.client.capabilities() == std::vector<std::int64_t>{11, 13});
  rest.answer(R"({"manufacturingState":"Blank"})");
  CHECK(*rest.client.manufacturing_state() == "Blank");
  rest.answer(R"({"restartingSystem":true})");
  CHECK(rest.client.restart());
  CHECK(rest.last().method == "POST");
  CHECK(rest.last().has_body);
}

TEST_CASE("stage and install send what the API asks for", "[device]") {
  Rest rest;
  rest.answer("{}");
  CHECK(rest.client.stage("package"));
  CHECK(rest.last().path == "/update/stage");
  CHECK(rest.last().method == "PUT");
  CHECK(rest.last().body == "package");
  CHECK(sphere::http::find_header(rest.last().headers, "content-type") ==
        "application/octet-stream");

  rest.answer("{}");
  CHECK(rest.client.install(false));
  CHECK(rest.last().body.empty());
  CHECK(rest.last().has_body);
  rest.answer("{}");
  CHECK(rest.client.install(true));
  CHECK(rest.last().body == R"({"appControlMode":"Manual"})");
  CHECK(sphere::http::find_header(rest.last().headers, "content-type") == "application/json");
}

TEST_CASE("apps are asked by component id", "[device]") {
  Rest rest;
  rest.answer(R"({"state":"notPresent"})");
  CHECK(*rest.client.app_state(kComponent) == api::AppState::not_present);
  CHECK(rest.last().path == "/app/status/" + std::string{kId});
  rest.answer(R"({"state":"running"})");
  CHECK(*rest.client.start_app(kComponent) == api::AppState::running);
  CHECK(rest.last().body == R"({"trigger":"start"})");
  CHECK(rest.last().method == "PATCH");
  rest.answer(R"({"state":"stopped"})");
  CHECK(*rest.client.stop_app(kComponent) == api::AppState::stopped);
  rest.answer("{}");
  CHECK(rest.client.delete_app(kComponent));
  CHECK(rest.last().path == "/app/image/" + std::string{kId});
  CHECK(rest.last().method == "DELETE");
}

TEST_CASE("a refusal tells number, name, sentence and what to do", "[device]") {
  Rest rest;
  rest.refuse(409, "14680076",
              R"({"error":14680076,"message":"no app 0051","next":"deploy it first"})");

  const auto refused = rest.client.start_app(kComponent);

  REQUIRE_FALSE(refused);
  CHECK(refused.error().code() == Errc::not_found);
  CHECK(refused.error().hint().reason == "app.not-present");
  CHECK(refused.error().hint().next == "deploy it first");
  CHECK(refused.error().message() ==
        "no app 0051: no such app on the device (device error 14680076, "
        "RestAppError::AppNotPresent)");
  REQUIRE(rest.client.last_device_error());
  CHECK(rest.client.last_device_error()->code == api::kAppNotPresent);
  CHECK(rest.client.last_device_error()->status == 409);

  rest.answer(R"({"uptime":1})");
  CHECK(rest.client.uptime_seconds());
  CHECK_FALSE(rest.client.last_device_error());
}

TEST_CASE("each kind of refusal has its reason", "[device]") {
  struct Case {
    std::string_view name;
    int status;
    std::string code;
    Errc errc;
    std::string_view reason;
  };
  const auto test = GENERATE(values<Case>({
      {"locked", 403, "10485778", Errc::permission, "device.locked"},
      {"locked without a code", 403, "", Errc::permission, "device.locked"},
      {"development", 403, "1048596", Errc::permission, "app.development-needed"},
      {"busy", 409, "10485765", Errc::busy, "device.busy"},
      {"updating", 409, "7340071", Errc::busy, "device.updating"},
      {"untrusted", 500, "7340047", Errc::unverified, "package.untrusted"},
      {"no package", 500, "7340050", Errc::corrupt, "package.corrupt"},
      {"too large", 400, "15728644", Errc::too_large, "package.too-large"},
      {"no space", 500, "14680082", Errc::no_space, "package.too-large"},
      {"manifest", 500, "2097162", Errc::invalid_argument, "package.manifest"},
      {"entry point", 500, "1048591", Errc::unsupported, "app.start-failed"},
      {"pin in use", 500, "5242884", Errc::busy, "app.start-failed"},
      {"debugger", 500, "3145738", Errc::not_found, "app.no-debugger"},
      {"no such call", 404, "15728642", Errc::unsupported, "device.too-old"},
      {"other", 500, "10485766", Errc::io, "device.error"},
      {"no code", 500, "", Errc::io, "device.error"},
      {"malformed code", 500, "12x", Errc::io, "device.error"},
  }));
  INFO(test.name);
  Rest rest;
  rest.refuse(test.status, test.code);

  const auto refused = rest.client.install(false);

  REQUIRE_FALSE(refused);
  CHECK(refused.error().code() == test.errc);
  CHECK(refused.error().hint().reason == test.reason);
  CHECK(rest.client.last_device_error()->status == test.status);
}

TEST_CASE("words of the device reach no terminal unescaped", "[device]") {
  Rest rest;
  rest.refuse(500, "", R"({"error":10485766,"message":"a\u001b[2Jb","next":"c\u0007"})");
  const auto refused = rest.client.install(false);
  CHECK(refused.error().message().find("a\\x1b[2Jb") == 0);
  CHECK(refused.error().hint().next == "c\\x07");
}

TEST_CASE("an answer of a wrong shape is an error of the device", "[device]") {
  Rest rest;
  for (const std::string body : {"", "{}", "[", R"({"uptime":"1"})", "<html>"}) {
    INFO(body);
    rest.answer(body);
    const auto uptime = rest.client.uptime_seconds();
    REQUIRE_FALSE(uptime);
    CHECK(uptime.error().code() == Errc::corrupt);
    CHECK(uptime.error().hint().reason == "device.error");
  }
}

TEST_CASE("output lines come one by one, marks of the stream are no lines", "[device]") {
  Rest rest;
  rest.answer(R"({"run":"a"})"
              "\n"
              R"({"seq":1,"at":"2026-07-31T00:00:00Z","text":"one","cut":false})"
              "\n"
              R"({"heartbeat":15000})"
              "\n"
              R"({"dropped":3})"
              "\n"
              R"({"seq":5,"at":null,"text":"two","cut":true})"
              "\n"
              R"({"end":"restart"})"
              "\n"
              R"({"seq":6,"at":null,"text":"never","cut":false})"
              "\n");
  std::vector<std::string> texts;

  const auto done = rest.client.app_output(kComponent, true, [&](const api::OutputLine& line) {
    texts.push_back(line.text);
    return true;
  });

  REQUIRE(done);
  CHECK(texts == std::vector<std::string>{"one", "(3 lines were dropped)", "two"});
  CHECK(rest.last().path == "/sphere/v1/apps/" + std::string{kId} + "/output?follow=true");
}

TEST_CASE("a stream ends early when its reader has enough", "[device]") {
  Rest rest;
  rest.answer("{\"atUs\":1,\"pin\":8,\"level\":1}\n{\"atUs\":2,\"pin\":8,\"level\":0}\n");
  int edges = 0;
  CHECK(rest.client.watch_gpio([&edges](const api::GpioEdge&) { return ++edges < 1; }));
  CHECK(edges == 1);
}

TEST_CASE("a broken stream, an endless line and a refused stream are errors", "[device]") {
  Rest rest;
  const auto ignore = [](const api::GpioEdge&) { return true; };
  rest.answer("{\"atUs\":1,\n");
  CHECK(rest.client.watch_gpio(ignore).error().code() == Errc::corrupt);
  rest.answer(std::string(100'000, 'x'));
  CHECK(rest.client.watch_gpio(ignore).error().code() == Errc::too_large);
  rest.refuse(409, "10485765");
  CHECK(rest.client.watch_gpio(ignore).error().hint().reason == "device.busy");
  rest.script->answers.emplace_back(sphere::fail(Errc::io, "ended", {.reason = "link.no-answer"}));
  CHECK(rest.client.watch_gpio(ignore).error().code() == Errc::io);
}

TEST_CASE("virtual peripherals", "[device]") {
  Rest rest;
  rest.answer(R"({"direction":"out","level":1,"usedBy":"a"})");
  CHECK(rest.client.gpio(8)->level == 1);
  CHECK(rest.last().path == "/sphere/v1/virtual/gpio/8");
  rest.answer(R"({"direction":"in","level":0,"usedBy":null})");
  CHECK(rest.client.set_gpio(12, 0));
  CHECK(rest.last().body == R"({"level":0})");
  CHECK(rest.last().method == "PUT");
  rest.answer("{}");
  CHECK(rest.client.pulse_gpio(12, 0, std::chrono::milliseconds{50}));
  CHECK(rest.last().path == "/sphere/v1/virtual/gpio/12/pulse");
  CHECK(rest.last().body == R"({"level":0,"microseconds":50000})");
}
