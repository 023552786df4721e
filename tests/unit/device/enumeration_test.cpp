// SPDX-License-Identifier: MIT
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch.hpp>

#include "libsdk/src/device/enumeration_http.h"

namespace sphere::device {
namespace {

const EnumerationActions kTwo = {
    .boards =
        [] {
          return std::vector<EnumeratedBoard>{
              {.ip_address = "192.168.35.2", .connection_path = "1243"},
              {.ip_address = "192.168.35.3", .connection_path = "vb-demo"}};
        },
    .rescan = [] { return std::size_t{2}; }};

std::string get(std::string_view headers, std::string_view target = "/api/service/devices") {
  return "GET " + std::string{target} + " HTTP/1.1\r\n" + std::string{headers} + "\r\n\r\n";
}

std::string body_of(const std::string& answer) {
  return answer.substr(answer.find("\r\n\r\n") + 4);
}

TEST_CASE("the boards are listed in the exact form that scripts read") {
  const auto step = answer_enumeration(get("Host: localhost:48938"), kTwo);
  CHECK(step.answer.starts_with("HTTP/1.1 200 OK\r\n"));
  CHECK(step.answer.find("Content-Type: application/json\r\n") != std::string::npos);
  CHECK(step.answer.find("REST-API-Version: 1.0.0\r\n") != std::string::npos);
  CHECK(body_of(step.answer) ==
        R"([{"IpAddress":"192.168.35.2","DeviceConnectionPath":"1243"},)"
        R"({"IpAddress":"192.168.35.3","DeviceConnectionPath":"vb-demo"}])");
  CHECK_FALSE(step.close);
}

TEST_CASE("without boards the list is empty, and a rescan gives a bare number") {
  const EnumerationActions none = {.boards = [] { return std::vector<EnumeratedBoard>{}; },
                                   .rescan = [] { return std::size_t{0}; }};
  CHECK(body_of(answer_enumeration(get("Host: 127.0.0.1"), none).answer) == "[]");
  const std::string put =
      "PUT /api/service/devices/rescan HTTP/1.1\r\nHost: [::1]:48938\r\nContent-Length: "
      "2\r\n\r\n{}";
  const auto step = answer_enumeration(put, kTwo);
  CHECK(body_of(step.answer) == "2");
  CHECK(step.taken == put.size());
}

TEST_CASE("other paths and methods are not there") {
  for (const std::string& request :
       {get("Host: localhost", "/"), get("Host: localhost", "/api/service/devices/"),
        std::string{"POST /api/service/devices HTTP/1.1\r\nHost: localhost\r\n\r\n"},
        std::string{"GET /api/service/devices/rescan HTTP/1.1\r\nHost: localhost\r\n\r\n"}}) {
    INFO(request);
    const auto step = answer_enumeration(request, kTwo);
    CHECK(step.answer.starts_with("HTTP/1.1 404"));
    CHECK(body_of(step.answer) == "{}");
  }
}

TEST_CASE("web pages may not ask") {
  const auto headers = GENERATE(values<std::string>(
      {"Host: evil.example", "Host: localhost.evil.example", "Host: localhost:1234", "X: y",
       "Host: 127.0.0.1:48938\r\nOrigin: http://localhost", "Host: localhost\r\nOrigin: null"}));
  INFO(headers);
  CHECK(answer_enumeration(get(headers), kTwo).answer.starts_with("HTTP/1.1 403"));
}

TEST_CASE("what is no HTTP is refused and the connection closed") {
  const auto request = GENERATE(values<std::string>(
      {"hello\r\n\r\n", "GET /\r\n\r\n", "GET / HTTP/2\r\n\r\n", "GET / HTTP/1.1\r\nbad\r\n\r\n",
       "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
       "PUT / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n",
       "PUT / HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
       "PUT / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"}));
  INFO(request);
  const auto step = answer_enumeration(request, kTwo);
  CHECK(step.answer.starts_with("HTTP/1.1 400"));
  CHECK(step.close);
}

TEST_CASE("a request that is not whole waits, up to the limit") {
  const std::string request = get("Host: localhost");
  for (std::size_t size = 0; size < request.size(); ++size) {
    CHECK(answer_enumeration(std::string_view{request}.substr(0, size), kTwo).answer.empty());
  }
  const std::string endless(kEnumerationRequestLimit + 1, 'x');
  CHECK(answer_enumeration(endless, kTwo).close);
}

TEST_CASE("connections stay open as the versions of HTTP have it") {
  CHECK(answer_enumeration(get("Host: localhost\r\nConnection: close"), kTwo).close);
  CHECK(answer_enumeration("GET /api/service/devices HTTP/1.0\r\nHost: localhost\r\n\r\n", kTwo)
            .close);
  const std::string two = get("Host: localhost") + get("Host: localhost");
  const auto step = answer_enumeration(two, kTwo);
  CHECK(step.taken == two.size() / 2);
  CHECK_FALSE(step.close);
}

}  // namespace
}  // namespace sphere::device
