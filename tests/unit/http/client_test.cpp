// SPDX-License-Identifier: MIT
#include "sphere/http/client.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "sphere/core/result.h"
#include "sphere/http/server.h"
#include "tests/support/skip.h"
#include "tests/support/test_authority.h"
#include "tests/unit/http/test_server.h"

using sphere::Errc;
using sphere::http::Client;
using sphere::http::ClientRequest;
using sphere::http::make_client;
using sphere::test::make_test_authority;
using sphere::test::TestServer;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

namespace {

std::unique_ptr<Client> connect(sphere::http::Endpoint endpoint) {
  auto client = make_client(std::move(endpoint));
  REQUIRE(client);
  return *std::move(client);
}

std::unique_ptr<Client> connect_to(const TestServer& server) {
  return connect({.url = "https://board.test",
                  .unix_socket = server.socket(),
                  .ca_pem = server.authority().ca_pem});
}

// Resident memory of this process in bytes.
std::size_t resident_bytes() {
  std::ifstream file{"/proc/self/statm"};
  std::size_t total = 0;
  std::size_t resident = 0;
  file >> total >> resident;
  return resident * 4096;
}

}  // namespace

TEST_CASE("the client talks over a Unix socket and over TCP, with a name of choice", "[http]") {
  TestServer server{{.common_headers = {{"REST-API-Version", "4.6.0"}}}};
  const std::string port = std::to_string(server.port());
  const std::vector<sphere::http::Endpoint> endpoints{
      {.url = "https://board.test", .unix_socket = server.socket()},
      {.url = "https://192.168.35.2", .unix_socket = server.socket(), .tls_name = "board.test"},
      {.url = "https://127.0.0.1:" + port},
      {.url = "https://127.0.0.1:" + port, .tls_name = "d.devices.sphere.azure.local"}};
  for (sphere::http::Endpoint endpoint : endpoints) {
    endpoint.ca_pem = server.authority().ca_pem;
    const auto client = connect(endpoint);
    for (int turn = 0; turn < 3; ++turn) {
      const auto answer = client->send({.path = "/hello"});
      REQUIRE(answer);
      CHECK(answer->status == 200);
      CHECK(answer->body == "hello");
      CHECK(sphere::http::find_header(answer->headers, "rest-api-version") == "4.6.0");
    }
  }
}

TEST_CASE("the client sends bodies with their length, the empty one too", "[http]") {
  TestServer server;
  const auto client = connect_to(server);
  const auto echo = client->send({.method = "PUT",
                                  .path = "/echo",
                                  .headers = {{"Content-Type", "application/json"}},
                                  .body = "{}"});
  REQUIRE(echo);
  CHECK(echo->body == "{}");
  const auto empty = client->send({.method = "POST", .path = "/count", .has_body = true});
  REQUIRE(empty);
  CHECK(empty->body == "0");
  const auto none = client->send({.method = "DELETE", .path = "/none"});
  REQUIRE(none);
  CHECK(none->status == 404);
}

TEST_CASE("a big body goes up with progress and without Expect trouble", "[http]") {
  TestServer server;
  const auto client = connect_to(server);
  std::size_t last = 0;
  std::size_t all = 0;
  const std::size_t bytes = std::size_t{8} * 1024 * 1024;
  const auto answer = client->send({.method = "PUT",
                                    .path = "/count",
                                    .body = std::string(bytes, 'x'),
                                    .progress = [&](std::size_t sent, std::size_t total) {
                                      CHECK(sent >= last);
                                      last = sent;
                                      all = total;
                                    }});
  REQUIRE(answer);
  CHECK(answer->body == std::to_string(bytes));
  CHECK(last == bytes);
  CHECK(all == bytes);
}

TEST_CASE("a refusal of a big body is read although the body was not", "[http]") {
  TestServer server;
  const auto client = connect_to(server);
  for (const std::size_t bytes : {std::size_t{10}, std::size_t{200'000}, std::size_t{8'000'000}}) {
    INFO(bytes);
    const auto answer =
        client->send({.method = "PUT", .path = "/refuse", .body = std::string(bytes, 'x')});
    REQUIRE(answer);
    CHECK(answer->status == 403);
  }
}

TEST_CASE("a sink takes an answer of any length in flat memory", "[http]") {
#ifdef __SANITIZE_ADDRESS__
  SKIP_UNLESS(false, "memory is counted: build without AddressSanitizer, which keeps freed memory");
#endif
  TestServer server;
  const auto client = connect_to(server);
  REQUIRE(client->send({.path = "/hello"}));
  const std::size_t before = resident_bytes();
  std::size_t received = 0;
  std::size_t most = 0;
  const auto answer = client->send(
      {.path = "/blocks?1024", .response_limit = 10, .sink = [&](std::string_view piece) {
         received += piece.size();
         most = std::max(most, resident_bytes());
         return true;
       }});
  REQUIRE(answer);
  CHECK(received == std::size_t{64} * 1024 * 1024);
  CHECK(answer->body.empty());
  CHECK(most < before + std::size_t{8} * 1024 * 1024);
}

TEST_CASE("a collected answer has a limit", "[http]") {
  TestServer server;
  const auto client = connect_to(server);
  CHECK(client->send({.path = "/big?1000", .response_limit = 1000}));
  const auto refused = client->send({.path = "/big?1001", .response_limit = 1000});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code() == Errc::too_large);
  CHECK(client->send({.path = "/hello"}));
}

TEST_CASE("a follow stream ends when its sink or its owner has enough", "[http]") {
  TestServer server;
  const auto client = connect_to(server);
  std::string text;
  const auto by_sink = client->send({.path = "/follow", .sink = [&](std::string_view piece) {
                                       text.append(piece);
                                       return text.find("line 9") == std::string::npos;
                                     }});
  REQUIRE_FALSE(by_sink);
  CHECK(by_sink.error().code() == Errc::cancelled);
  CHECK(text.find("line 7\n") != std::string::npos);

  std::atomic<bool> interrupted = false;
  std::thread later{[&interrupted] {
    std::this_thread::sleep_for(100ms);
    interrupted = true;
  }};
  const auto by_owner = client->send({.path = "/follow",
                                      .sink = [](std::string_view) { return true; },
                                      .cancelled = [&interrupted] { return interrupted.load(); }});
  later.join();
  REQUIRE_FALSE(by_owner);
  CHECK(by_owner.error().code() == Errc::cancelled);
  CHECK(client->send({.path = "/hello"}));
}

TEST_CASE("an answer that does not come is a timeout", "[http]") {
  TestServer server;
  const auto client = connect_to(server);
  const auto begin = std::chrono::steady_clock::now();
  const auto late = client->send({.path = "/slow", .idle_limit = 100ms});
  REQUIRE_FALSE(late);
  CHECK(late.error().code() == Errc::timeout);
  CHECK(late.error().hint().reason == "device.timeout");
  CHECK(std::chrono::steady_clock::now() - begin < 5s);
  CHECK(client->send({.path = "/slow"}));
}

TEST_CASE("nobody listening, wrong authority, wrong name and expired are told apart", "[http]") {
  TestServer server;
  const auto ask = [](const sphere::http::Endpoint& endpoint) {
    return connect(endpoint)->send({.path = "/hello"});
  };
  const auto refused = ask({.url = "https://board.test",
                            .unix_socket = server.socket().parent_path() / "none",
                            .ca_pem = server.authority().ca_pem});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code() == Errc::unavailable);
  CHECK(refused.error().hint().reason == "device.refused");

  const auto foreign = ask({.url = "https://board.test",
                            .unix_socket = server.socket(),
                            .ca_pem = make_test_authority().ca_pem});
  REQUIRE_FALSE(foreign);
  CHECK(foreign.error().code() == Errc::unverified);
  CHECK(foreign.error().hint().reason == "device.tls");
  CHECK(foreign.error().message().find("certificate") != std::string::npos);

  const auto wrong_name = ask({.url = "https://other.test",
                               .unix_socket = server.socket(),
                               .ca_pem = server.authority().ca_pem});
  REQUIRE_FALSE(wrong_name);
  CHECK(wrong_name.error().code() == Errc::unverified);
  CHECK(wrong_name.error().message().find("other.test") != std::string::npos);

  TestServer old{{}, make_test_authority(true)};
  const auto expired = ask(
      {.url = "https://board.test", .unix_socket = old.socket(), .ca_pem = old.authority().ca_pem});
  REQUIRE_FALSE(expired);
  CHECK(expired.error().code() == Errc::unverified);
  CHECK(expired.error().message().find("expired") != std::string::npos);
}

TEST_CASE("a server that stopped is refused, and its successor is found", "[http]") {
  auto server = std::make_unique<TestServer>();
  const auto client = connect_to(*server);
  CHECK(client->send({.path = "/hello"}));
  server->server().stop();
  const auto refused = client->send({.path = "/hello"});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code() == Errc::unavailable);
}

TEST_CASE("64 clients at once get their own answers", "[http]") {
  TestServer server;
  std::atomic<int> good = 0;
  std::vector<std::thread> threads;
  threads.reserve(64);
  for (int i = 0; i < 64; ++i) {
    threads.emplace_back([&server, &good, i] {
      const auto client = make_client({.url = "https://board.test",
                                       .unix_socket = server.socket(),
                                       .ca_pem = server.authority().ca_pem});
      for (int turn = 0; client && turn < 5; ++turn) {
        const std::string body = std::to_string(i) + "." + std::to_string(turn);
        const auto answer = (*client)->send({.method = "PUT", .path = "/echo", .body = body});
        good += answer && answer->body == body ? 1 : 0;
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  CHECK(good == 320);
}

TEST_CASE("the environment's proxy is not used", "[http]") {
  TestServer server;
  ::setenv("HTTPS_PROXY", "http://127.0.0.1:1", 1);  // NOLINT(concurrency-mt-unsafe): one thread
  const auto answer = connect({.url = "https://127.0.0.1:" + std::to_string(server.port()),
                               .ca_pem = server.authority().ca_pem})
                          ->send({.path = "/hello"});
  ::unsetenv("HTTPS_PROXY");  // NOLINT(concurrency-mt-unsafe): as above
  CHECK(answer);
}

TEST_CASE("make_client refuses what is no URL of a device", "[http]") {
  for (const std::string url :
       {"", "board", "ftp://board", "https://", "https://a/b", "https://a@b", "https://a:x"}) {
    INFO(url);
    const auto client = make_client({.url = url, .ca_pem = "x"});
    REQUIRE_FALSE(client);
    CHECK(client.error().code() == Errc::invalid_argument);
  }
  CHECK_FALSE(make_client({.url = "https://a"}));
  CHECK(connect({.url = "https://a", .ca_pem = "x"})->send({.path = "hello"}).error().code() ==
        Errc::invalid_argument);
}
