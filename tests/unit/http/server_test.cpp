// SPDX-License-Identifier: MIT
#include "sphere/http/server.h"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <poll.h>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <thread>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "sphere/core/descriptor.h"
#include "sphere/core/result.h"
#include "tests/support/test_authority.h"
#include "tests/support/tls_client.h"
#include "tests/unit/http/test_server.h"

using sphere::Errc;
using sphere::test::connect_tcp;
using sphere::test::connect_unix;
using sphere::test::make_test_authority;
using sphere::test::TestServer;
using sphere::test::TlsClient;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

namespace {

constexpr std::string_view kGet = "GET /hello HTTP/1.1\r\nHost: h\r\n\r\n";

// Sends `request` on a connection of its own and gives all that comes until it ends.
std::string ask(const TestServer& server, std::string_view request) {
  TlsClient client{connect_unix(server.socket())};
  REQUIRE(client.ok());
  client.send(request);
  return client.read_all(2s);
}

bool starts_with(const std::string& text, std::string_view with) { return text.starts_with(with); }
bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

// Waits until `condition` holds, at most 5 s.
template <typename Condition>
bool eventually(Condition condition) {
  for (int turn = 0; turn < 500; ++turn) {
    if (condition()) {
      return true;
    }
    std::this_thread::sleep_for(10ms);
  }
  return false;
}

}  // namespace

TEST_CASE("a connection is kept for several requests, on Unix sockets and TCP", "[http]") {
  TestServer server{{.common_headers = {{"REST-API-Version", "4.6.0"}}}};
  for (const bool tcp : {false, true}) {
    TlsClient client{tcp ? connect_tcp(server.port()) : connect_unix(server.socket())};
    REQUIRE(client.ok());
    CHECK(client.version() == "TLSv1.3");
    for (int turn = 0; turn < 3; ++turn) {
      client.send(kGet);
      const std::string answer = client.read_until("hello");
      CHECK(starts_with(answer, "HTTP/1.1 200 OK\r\n"));
      CHECK(contains(answer, "Content-Length: 5\r\n"));
      CHECK(contains(answer, "REST-API-Version: 4.6.0\r\n"));
      CHECK(contains(answer, "Date: "));
      CHECK(contains(answer, "Connection: keep-alive\r\n"));
    }
  }
}

TEST_CASE("TLS 1.2 works and TLS 1.1 is refused", "[http]") {
  TestServer server;
  CHECK(TlsClient{connect_unix(server.socket()), 0x0303}.ok());
  CHECK_FALSE(TlsClient{connect_unix(server.socket()), 0x0302}.ok());
}

TEST_CASE("header values of handlers cannot end the head", "[http]") {
  TestServer server;
  TlsClient client{connect_unix(server.socket())};
  client.send(kGet);
  const std::string answer = client.read_until("hello");
  CHECK(contains(answer, "X-Evil: a  b: c\r\n"));
  CHECK_FALSE(contains(answer, "Bad Name"));
}

TEST_CASE("pipelined requests are answered in order", "[http]") {
  TestServer server;
  TlsClient client{connect_unix(server.socket())};
  client.send(std::string{kGet} + "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc" +
              "GET /none HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  const std::string answers = client.read_all();
  const auto first = answers.find("hello");
  const auto second = answers.find("abc");
  const auto third = answers.find("HTTP/1.1 404");
  CHECK(first < second);
  CHECK(second < third);
  CHECK(third != std::string::npos);
  CHECK(client.closed_cleanly());
}

TEST_CASE("a malformed head is answered 400 with an empty body and closed", "[http]") {
  TestServer server{{.common_headers = {{"REST-API-Version", "4.6.0"}},
                     .malformed_head_headers = {{"Sphere-Error", "15728645"}},
                     .large_head_headers = {{"Sphere-Error", "15728647"}}}};
  struct Case {
    std::string_view name;
    std::string request;
    std::string_view error;
  };
  constexpr std::string_view kMalformed = "15728645";
  constexpr std::string_view kLarge = "15728647";
  const std::vector<Case> cases{
      {"no HTTP", "hello there\r\n\r\n", kMalformed},
      {"empty line first", "\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", kMalformed},
      {"bare LF", "GET / HTTP/1.1\nHost: h\n\n", kMalformed},
      {"bare CR", "GET / HTTP/1.1\r\nHost: h\r\nA: b\rc\r\n\r\n", kMalformed},
      {"NUL", std::string{"GET / HTTP/1.1\r\nHost: h\r\nA: \0b\r\n\r\n", 34}, kMalformed},
      {"folded line", "GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n c\r\n\r\n", kMalformed},
      {"blank before the colon", "GET / HTTP/1.1\r\nHost: h\r\nA : b\r\n\r\n", kMalformed},
      {"no version", "GET /\r\n\r\n", kMalformed},
      {"other version", "GET / HTTP/2.0\r\n\r\n", kMalformed},
      {"two lengths",
       "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
       kMalformed},
      {"length and chunked",
       "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: "
       "chunked\r\n\r\n0\r\n\r\n",
       kMalformed},
      {"chunked and length",
       "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: "
       "5\r\n\r\n0\r\n\r\n",
       kMalformed},
      {"unknown coding", "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n",
       kMalformed},
      {"coding twice",
       "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: "
       "chunked\r\n\r\n",
       kMalformed},
      {"chunked in HTTP/1.0", "POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
       kMalformed},
      {"length no number", "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: +1\r\n\r\na",
       kMalformed},
      {"length too large",
       "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999\r\n\r\na",
       kMalformed},
      {"long target", "GET /" + std::string(1024, 'a') + " HTTP/1.1\r\nHost: h\r\n\r\n", kLarge},
      {"long header", "GET / HTTP/1.1\r\nHost: h\r\nA: " + std::string(9000, 'a') + "\r\n\r\n",
       kLarge},
      {"endless line", std::string(9000, 'a'), kLarge},
  };
  for (const Case& test : cases) {
    INFO(test.name);
    const std::string answer = ask(server, test.request + std::string{kGet});
    CHECK(starts_with(answer, "HTTP/1.1 400 Bad Request\r\n"));
    CHECK(contains(answer, "Sphere-Error: " + std::string{test.error} + "\r\n"));
    CHECK(contains(answer, "REST-API-Version: 4.6.0\r\n"));
    CHECK(contains(answer, "Connection: close\r\n"));
    CHECK(answer.ends_with("\r\n\r\n"));  // No body, and nothing that a smuggled request got.
  }
  CHECK(server.sinks_unfinished == 0);
}

TEST_CASE("limits of the head are exact", "[http]") {
  TestServer server;
  std::string lines;
  for (int line = 0; line < 64; ++line) {
    lines += "A: b\r\n";
  }
  CHECK(starts_with(ask(server, "GET /hello HTTP/1.0\r\n" + lines + "\r\n"), "HTTP/1.1 200"));
  CHECK(
      starts_with(ask(server, "GET /hello HTTP/1.0\r\nA: b\r\n" + lines + "\r\n"), "HTTP/1.1 400"));
  const std::string target = "/hello?" + std::string(1024 - 7, 'a');
  CHECK(starts_with(ask(server, "GET " + target + " HTTP/1.0\r\n\r\n"), "HTTP/1.1 200"));
  CHECK(starts_with(ask(server, "GET " + target + "a HTTP/1.0\r\n\r\n"), "HTTP/1.1 400"));
}

TEST_CASE("HTTP/1.0 is answered and closed", "[http]") {
  TestServer server;
  const std::string answer = ask(server, "GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  CHECK(starts_with(answer, "HTTP/1.1 200 OK\r\n"));
  CHECK(contains(answer, "Connection: close\r\n"));
  CHECK(answer.ends_with("\r\n\r\nhello"));
}

TEST_CASE("bodies come by length or in chunks", "[http]") {
  TestServer server;
  const std::string by_length = ask(
      server, "PUT /echo HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc");
  CHECK(by_length.ends_with("\r\n\r\nabc"));
  const std::string chunked =
      ask(server,
          "PUT /echo HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
          "3\r\nabc\r\n4;ext=1\r\ndefg\r\n0\r\nTrailer: x\r\n\r\n");
  CHECK(chunked.ends_with("\r\n\r\nabcdefg"));
  const std::string none =
      ask(server, "PUT /count HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  CHECK(none.ends_with("\r\n\r\n0"));
}

TEST_CASE("a chunk that is none ends the connection", "[http]") {
  TestServer server;
  const std::string answer = ask(
      server,
      "PUT /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nabc\r\n0\r\n\r\n");
  CHECK(starts_with(answer, "HTTP/1.1 400"));
  CHECK(contains(answer, "Connection: close"));
}

TEST_CASE("Expect: 100-continue is answered before the body, or refused", "[http]") {
  TestServer server;
  TlsClient client{connect_unix(server.socket())};
  client.send("PUT /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
  CHECK(client.read_until("\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n");
  client.send("abc");
  CHECK(starts_with(client.read_until("abc"), "HTTP/1.1 200 OK\r\n"));

  client.send(
      "PUT /refuse HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
  const std::string refused = client.read_all();
  CHECK(starts_with(refused, "HTTP/1.1 403 Forbidden\r\n"));
  CHECK(contains(refused, "Connection: close\r\n"));
}

TEST_CASE("a small body nobody wants is skipped, a large one ends the connection", "[http]") {
  TestServer server;
  TlsClient client{connect_unix(server.socket())};
  client.send("PUT /refuse HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nGET /" +
              std::string{kGet});
  const std::string both = client.read_until("hello");
  CHECK(starts_with(both, "HTTP/1.1 403"));
  CHECK(contains(both, "HTTP/1.1 200"));

  const std::string refused =
      ask(server, "PUT /refuse HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n" +
                      std::string(50000, 'x'));
  CHECK(starts_with(refused, "HTTP/1.1 403"));
  CHECK(contains(refused, "Connection: close\r\n"));
}

TEST_CASE("a sink may refuse the rest of a body", "[http]") {
  TestServer server;
  const std::string answer =
      ask(server, "PUT /short HTTP/1.1\r\nHost: h\r\nContent-Length: 200000\r\n\r\n" +
                      std::string(150000, 'x'));
  CHECK(starts_with(answer, "HTTP/1.1 413"));
  CHECK(contains(answer, "Connection: close\r\n"));
}

TEST_CASE("a truncated body never reaches finish()", "[http]") {
  TestServer server;
  {
    TlsClient client{connect_unix(server.socket())};
    client.send("PUT /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nabc");
    CHECK(eventually([&] { return server.largest_piece == 3; }));
  }
  CHECK(eventually([&] { return server.sinks_unfinished == 1; }));
  CHECK(contains(ask(server, "GET /hello HTTP/1.0\r\n\r\n"), "hello"));
}

TEST_CASE("a large body arrives in pieces of at most 64 KiB", "[http]") {
  TestServer server;
  TlsClient client{connect_unix(server.socket())};
  constexpr std::size_t kPieces = 512;
  const std::string piece(std::size_t{64} * 1024, 'x');
  client.send("PUT /count HTTP/1.1\r\nHost: h\r\nContent-Length: " +
              std::to_string(kPieces * piece.size()) + "\r\n\r\n");
  for (std::size_t i = 0; i < kPieces; ++i) {
    REQUIRE(client.send(piece));
  }
  CHECK(contains(client.read_until(std::to_string(kPieces * piece.size())), "200 OK"));
  CHECK(server.largest_piece <= 65536);
}

TEST_CASE("a streamed answer comes in chunks and ends its connection", "[http]") {
  TestServer server;
  const std::string answer = ask(server, "GET /stream HTTP/1.1\r\nHost: h\r\n\r\n");
  CHECK(contains(answer, "Transfer-Encoding: chunked\r\n"));
  CHECK_FALSE(contains(answer, "Content-Length"));
  CHECK(
      answer.ends_with("\r\n\r\n8\r\npiece 3\n\r\n8\r\npiece 2\n\r\n8\r\npiece 1\n\r\n0\r\n\r\n"));
  const std::string old = ask(server, "GET /stream HTTP/1.0\r\n\r\n");
  CHECK(old.ends_with("\r\n\r\npiece 3\npiece 2\npiece 1\n"));
}

TEST_CASE("a stream ends when its client leaves, and when the server stops", "[http]") {
  TestServer server;
  {
    TlsClient client{connect_unix(server.socket())};
    client.send("GET /follow HTTP/1.1\r\nHost: h\r\n\r\n");
    CHECK(contains(client.read_until("line 5"), "line 3"));
    CHECK(server.followers == 1);
  }
  CHECK(eventually([&] { return server.followers == 0; }));

  TlsClient client{connect_unix(server.socket())};
  client.send("GET /follow HTTP/1.1\r\nHost: h\r\n\r\n");
  CHECK(contains(client.read_until("line 5"), "line 3"));
  server.server().stop();
  CHECK(server.followers == 0);
}

TEST_CASE("close and after: first the answer, then the end, then the deed", "[http]") {
  TestServer server;
  CHECK(contains(ask(server, "GET /bye HTTP/1.1\r\nHost: h\r\n\r\n"), "Connection: close\r\n"));
  {
    TlsClient client{connect_unix(server.socket())};
    client.send("GET /after HTTP/1.1\r\nHost: h\r\n\r\n");
    CHECK(client.read_all().ends_with("sent"));
    CHECK(client.closed_cleanly());
  }
  CHECK(eventually([&] { return server.after_ran.load(); }));
}

TEST_CASE("slow heads, silent connections and slow bodies are ended", "[http]") {
  TestServer server{{.header_limit = 1s, .body_limit = 1s, .idle_limit = 1s}};
  const auto begin = std::chrono::steady_clock::now();
  const sphere::Descriptor silent = connect_unix(server.socket());
  TlsClient idle{connect_unix(server.socket())};
  TlsClient slow_head{connect_unix(server.socket())};
  slow_head.send("GET /hello HT");
  TlsClient slow_body{connect_unix(server.socket())};
  slow_body.send("PUT /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc");

  CHECK(idle.read_all().empty());
  CHECK(slow_head.read_all().empty());
  CHECK(starts_with(slow_body.read_all(), "HTTP/1.1 400"));
  char byte = 0;
  CHECK(::recv(silent.get(), &byte, 1, 0) == 0);
  CHECK(std::chrono::steady_clock::now() - begin < 10s);
  CHECK(server.sinks_unfinished == 1);
}

TEST_CASE("the longest idle connection makes room for a newcomer", "[http]") {
  TestServer server{{.connection_limit = 2}};
  const auto first = std::make_unique<TlsClient>(connect_unix(server.socket()));
  first->send(kGet);
  CHECK(contains(first->read_until("hello"), "hello"));
  TlsClient second{connect_unix(server.socket())};
  second.send(kGet);
  CHECK(contains(second.read_until("hello"), "hello"));

  TlsClient third{connect_unix(server.socket())};
  third.send(kGet);
  CHECK(contains(third.read_until("hello"), "hello"));
  CHECK(first->read_all().empty());
  CHECK(first->closed_cleanly());
  second.send(kGet);
  CHECK(contains(second.read_until("hello"), "hello"));
}

TEST_CASE("half-open connections keep nobody out", "[http]") {
  TestServer server{{.connection_limit = 4}};
  std::vector<sphere::Descriptor> silent;
  for (int i = 0; i < 300; ++i) {
    silent.push_back(connect_tcp(server.port()));
    if (i % 32 == 0) {
      std::this_thread::sleep_for(5ms);  // Else the kernel's queue overflows, at 1 s a time.
    }
  }
  TlsClient client{connect_tcp(server.port())};
  client.send(kGet);
  CHECK(contains(client.read_until("hello"), "hello"));
}

TEST_CASE("64 clients at once are all answered, four at work at a time", "[http]") {
  TestServer server;
  std::atomic<int> answered = 0;
  std::vector<std::thread> threads;
  threads.reserve(64);
  for (int i = 0; i < 64; ++i) {
    threads.emplace_back([&server, &answered, i] {
      TlsClient client{i % 2 == 0 ? connect_unix(server.socket()) : connect_tcp(server.port())};
      client.send(i < 8
                      ? std::string{"GET /slow HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"}
                      : std::string{"GET /hello HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"});
      answered += client.read_all(20s).starts_with("HTTP/1.1 200") ? 1 : 0;
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  CHECK(answered == 64);
  CHECK(server.most_at_work <= 4);
}

TEST_CASE("a client that has half closed is let go at once", "[http]") {
  TestServer server;
  auto socket = connect_unix(server.socket());
  const int descriptor = socket.get();
  TlsClient client{std::move(socket)};
  client.send(kGet);
  CHECK(contains(client.read_until("hello"), "hello"));
  // Without close_notify, as many clients end, and without the hang-up that a full close makes.
  CHECK(::shutdown(descriptor, SHUT_WR) == 0);
  const auto begin = std::chrono::steady_clock::now();
  CHECK(client.read_all().empty());
  pollfd poll{.fd = descriptor, .events = 0, .revents = 0};
  CHECK(::poll(&poll, 1, 5000) == 1);
  CHECK((poll.revents & POLLHUP) != 0);
  CHECK(std::chrono::steady_clock::now() - begin < 5s);
  CHECK(client.closed_cleanly());
}

TEST_CASE("TLS garbage does not disturb the server", "[http]") {
  TestServer server;
  for (int i = 0; i < 50; ++i) {
    const sphere::Descriptor socket = connect_unix(server.socket());
    const std::string_view garbage = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    CHECK(::send(socket.get(), garbage.data(), garbage.size(), MSG_NOSIGNAL) > 0);
  }
  CHECK(contains(ask(server, "GET /hello HTTP/1.0\r\n\r\n"), "hello"));
}

TEST_CASE("a server without proper certificate or key does not start", "[http]") {
  class Nothing final : public sphere::http::Handler {
    sphere::http::Decision on_request(const sphere::http::Request& /*request*/,
                                      std::optional<std::uint64_t> /*length*/) override {
      return sphere::http::Response{};
    }
  };
  Nothing handler;
  const auto good = make_test_authority();
  const auto other = make_test_authority();
  const auto refused = [&handler](std::string chain, std::string key) {
    const auto server = sphere::http::Server::start(
        {}, {.certificate_chain_pem = std::move(chain), .private_key_pem = std::move(key)},
        handler);
    return !server && server.error().code() == Errc::invalid_argument;
  };
  CHECK(refused("", good.key_pem));
  CHECK(refused(good.chain_pem, "no key"));
  CHECK(refused(good.chain_pem, other.key_pem));
}
