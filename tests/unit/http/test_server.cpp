// SPDX-License-Identifier: MIT
#include "tests/unit/http/test_server.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "sphere/core/descriptor.h"
#include "sphere/core/file.h"
#include "sphere/http/server.h"
#include "tests/support/bound_port.h"
#include "tests/support/test_authority.h"

namespace sphere::test {

namespace {

TemporaryDirectory make_directory() {
  auto directory = TemporaryDirectory::create("sphere-http");
  REQUIRE(directory);
  return *std::move(directory);
}

// Collects the body, or counts it, or takes ten bytes only.
class Sink final : public http::BodySink {
 public:
  enum class Kind : std::uint8_t { echo, count, ten };
  Sink(Kind kind, TestServer& owner) : kind_{kind}, owner_{&owner} { ++owner_->sinks_unfinished; }
  bool write(std::string_view piece) override {
    owner_->largest_piece = std::max(owner_->largest_piece.load(), piece.size());
    total_ += piece.size();
    if (kind_ == Kind::echo) {
      body_.append(piece);
    }
    return kind_ != Kind::ten || total_ <= 10;
  }
  http::Response finish() override {
    --owner_->sinks_unfinished;
    if (kind_ == Kind::ten && total_ > 10) {
      return {.status = 413};
    }
    return {.body = kind_ == Kind::echo ? body_ : std::to_string(total_)};
  }

 private:
  Kind kind_;
  TestServer* owner_;
  std::size_t total_ = 0;
  std::string body_;
};

http::Response pieces() {
  return {.body = http::BodyStream{[left = 4]() mutable -> std::optional<std::string> {
            --left;
            return left == 0 ? std::nullopt : std::optional{"piece " + std::to_string(left) + "\n"};
          }}};
}

std::size_t number_in(std::string_view target) {
  std::size_t number = 0;
  const std::string_view digits = target.substr(target.find('?') + 1);
  std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return number;
}

http::Response blocks(std::size_t count) {
  return {.body = http::BodyStream{[left = count]() mutable -> std::optional<std::string> {
            return left-- == 0 ? std::nullopt : std::optional{std::string(65536, 'x')};
          }}};
}

}  // namespace

http::Response TestServer::Answers::slow() {
  const int now = ++owner_->at_work;
  owner_->most_at_work = std::max(owner_->most_at_work.load(), now);
  std::this_thread::sleep_for(std::chrono::milliseconds{200});
  --owner_->at_work;
  return {.body = "slow"};
}

http::Response TestServer::Answers::follow() {
  ++owner_->followers;
  const std::shared_ptr<int> guard{new int{0}, [owner = owner_](const int* number) {
                                     --owner->followers;
                                     delete number;
                                   }};
  return {.body = http::BodyStream{[guard]() -> std::optional<std::string> {
            std::this_thread::sleep_for(std::chrono::milliseconds{10});
            ++*guard;
            return *guard % 2 == 0 ? "" : "line " + std::to_string(*guard) + "\n";
          }}};
}

http::Decision TestServer::Answers::on_request(const http::Request& request,
                                               std::optional<std::uint64_t> /*content_length*/) {
  const std::string_view path =
      std::string_view{request.target}.substr(0, request.target.find('?'));
  if (path == "/echo" || path == "/count" || path == "/short") {
    const auto kind = path == "/echo"    ? Sink::Kind::echo
                      : path == "/count" ? Sink::Kind::count
                                         : Sink::Kind::ten;
    return std::make_unique<Sink>(kind, *owner_);
  }
  if (path == "/hello") {
    return http::Response{.headers = {{"X-Evil", "a\r\nb: c"}, {"Bad Name", "x"}}, .body = "hello"};
  }
  if (path == "/big") {
    return http::Response{.body = std::string(number_in(request.target), 'x')};
  }
  if (path == "/blocks") {
    return blocks(number_in(request.target));
  }
  if (path == "/refuse") {
    return http::Response{.status = 403};
  }
  if (path == "/stream") {
    return pieces();
  }
  if (path == "/follow") {
    return follow();
  }
  if (path == "/slow") {
    return slow();
  }
  if (path == "/bye") {
    return http::Response{.body = "bye", .close = true};
  }
  if (path == "/after") {
    return http::Response{
        .body = "sent", .close = true, .after = [this] { owner_->after_ran = true; }};
  }
  return http::Response{.status = 404};
}

TestServer::TestServer(http::ServerOptions options, TestAuthority authority)
    : authority_{std::move(authority)},
      directory_{make_directory()},
      socket_{directory_.path() / "rest.sock"} {
  options.certificate_chain_pem = authority_.chain_pem;
  options.private_key_pem = authority_.key_pem;
  auto unix_listener = http::listen_unix(socket_);
  auto tcp_listener = http::listen_tcp("127.0.0.1", 0);
  REQUIRE(unix_listener);
  REQUIRE(tcp_listener);
  port_ = bound_port(*tcp_listener);
  std::vector<Descriptor> listeners;
  listeners.push_back(*std::move(unix_listener));
  listeners.push_back(*std::move(tcp_listener));
  auto server = http::Server::start(std::move(listeners), std::move(options), answers_);
  REQUIRE(server);
  server_ = *std::move(server);
}

}  // namespace sphere::test
